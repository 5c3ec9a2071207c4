// A recursive-descent parser. An error ends its statement, and parsing goes on with the next line.
#include "syntax/parser.h"

#include <cmath>
#include <limits>

#include "syntax/lexer.h"

namespace cnnc::syntax {

namespace {
constexpr int kDeepest = 64; // brackets; the parser's recursion, and that of all who walk the tree

struct Keyword {
  const char *name;
  Statement::Kind kind;
};
const Keyword kKeywords[] = {{"model", Statement::Model}, {"input", Statement::Input}, {"target", Statement::Target}, {"output", Statement::Output}, {"loss", Statement::Loss}, {"optimizer", Statement::Optimizer}, {"init", Statement::Init}, {"batch", Statement::Batch}, {"block", Statement::Definition}, {"function", Statement::Definition}};

const Keyword *keyword(const std::string &name) {
  for (const Keyword &k : kKeywords)
    if (name == k.name)
      return &k;
  return nullptr;
}

class Parser {
public:
  Parser(const Source &source, Diagnostics &diagnostics) : source_(source), diagnostics_(diagnostics), lexer_(source) {
    advance();
  }

  File file() {
    File f;
    while (token_.kind != Token::End && !diagnostics_.full()) {
      if (token_.kind == Token::Newline) {
        advance();
        continue;
      }
      Statement s;
      uint32_t start = token_.where.offset;
      try {
        s.where = token_.where;
        statement(s);
        if (token_.kind != Token::Newline && token_.kind != Token::End)
          fail_expected("the end of the line");
        s.where = between(start);
      } catch (const Failed &) {
        s.broken = true;
        skip();
      }
      f.statements.push_back(std::move(s));
    }
    return f;
  }

  std::optional<Expression> call_alone() {
    try {
      while (token_.kind == Token::Newline)
        advance();
      Expression e = call("a name");
      while (token_.kind == Token::Newline)
        advance();
      if (token_.kind != Token::End)
        fail_expected("the end of the text");
      return e;
    } catch (const Failed &) {
      return std::nullopt;
    }
  }

private:
  struct Failed {}; // the error has been reported

  const Source &source_;
  Diagnostics &diagnostics_;
  Lexer lexer_;
  Token token_;
  uint32_t end_ = 0; // of the token before
  int depth_ = 0;

  void advance() {
    end_ = token_.where.offset + token_.where.length;
    token_ = lexer_.next();
  }
  bool at(char mark) const { return token_.kind == Token::Mark && token_.mark == mark; }
  Location between(uint32_t start) const { return {start, end_ - start}; }

  [[noreturn]] void fail(Diag kind, Location where, const std::vector<std::string> &arguments) {
    diagnostics_.report(kind, where, arguments);
    throw Failed{};
  }
  std::string found() const {
    if (token_.kind == Token::End)
      return "the end of the file";
    if (token_.kind == Token::Newline)
      return "the end of the line";
    return "'" + escaped(source_.text(token_.where), 40) + "'";
  }
  [[noreturn]] void fail_expected(const std::string &what) {
    if (token_.kind == Token::BadCharacter)
      fail(Diag::unexpected_character, token_.where, {source_.text(token_.where)});
    fail(Diag::expected, token_.where, {what, found()});
  }
  Location name(const std::string &what) {
    if (token_.kind != Token::Name)
      fail_expected(what);
    Location where = token_.where;
    advance();
    return where;
  }
  void mark(char c, const std::string &what) {
    if (!at(c))
      fail_expected(what);
    advance();
  }

  // Leaves the statement. What was left open may have swallowed the next line's beginning: a name in the first column
  // begins a statement.
  void skip() {
    depth_ = 0;
    while (token_.kind != Token::End && token_.kind != Token::Newline &&
           !(token_.kind == Token::Name && token_.opens_line))
      advance();
    lexer_.leave_brackets();
  }

  void statement(Statement &s) {
    if (token_.kind != Token::Name)
      fail_expected("a statement");
    Location head = token_.where;
    std::string word = source_.text(head);
    advance();
    const Keyword *k = keyword(word);
    if (k) {
      s.kind = k->kind;
      header(s, word, head);
      return;
    }
    if (at('=')) {
      s.name = head;
      advance();
      s.value = call("a layer");
      return;
    }
    if (token_.kind == Token::Name || token_.kind == Token::Number) {
      std::vector<std::string> names;
      for (const Keyword &known : kKeywords)
        names.push_back(known.name);
      if (const Keyword *meant = keyword(near_miss(word, names)))
        s.kind = meant->kind;
      fail(Diag::unknown_statement, head, {word, suggestion(word, names)});
    }
    s.value = call_after(head);
  }

  void header(Statement &s, const std::string &word, Location head) {
    switch (s.kind) {
    case Statement::Model:
      s.name = name("the model's name");
      break;
    case Statement::Input:
    case Statement::Target:
      s.name = name("the name of the " + word);
      mark(':', "':' and a type");
      s.element = name("a type such as f32[1, 28, 28]");
      if (!at('['))
        fail_expected("'[' and the dimensions");
      s.value = expression();
      break;
    case Statement::Output:
      s.name = name("the name of a value");
      break;
    case Statement::Loss:
    case Statement::Optimizer:
    case Statement::Init:
      s.value = call(s.kind == Statement::Loss        ? "the name of a loss"
                     : s.kind == Statement::Optimizer ? "the name of an optimizer"
                                                      : "the name of an initialisation");
      break;
    case Statement::Batch:
      if (token_.kind != Token::Number && token_.kind != Token::BadNumber)
        fail_expected("a number");
      s.value = expression();
      break;
    case Statement::Definition:
      diagnostics_.report(Diag::not_supported, head, {word + "s are"});
      if (token_.kind == Token::Name)
        s.name = token_.where;
      s.broken = true;
      lexer_.skip_definition(head.offset);
      token_ = Token{}; // so that a line's end is read next
      advance();
      end_ = head.offset + head.length;
      break;
    case Statement::Layer:
      break;
    }
  }

  Expression call(const std::string &what) { return call_after(name(what)); }

  // A call whose name has been read, with or without arguments.
  Expression call_after(Location callee) {
    Expression e;
    e.kind = Expression::Call;
    e.callee = callee.length;
    if (at('('))
      bracket(e, ')', true);
    e.where = between(callee.offset);
    return e;
  }

  // From the opening bracket to the closing one.
  void bracket(Expression &e, char close, bool keywords) {
    Location open = token_.where;
    if (++depth_ > kDeepest)
      fail(Diag::nested_too_deep, open, {std::to_string(kDeepest)});
    advance();
    while (!at(close)) {
      if (token_.kind == Token::End)
        fail(Diag::unclosed_bracket, open, {source_.text(open)});
      e.items.push_back(keywords ? argument() : expression());
      if (at(','))
        advance();
      else if (token_.kind == Token::End || (token_.kind == Token::Name && token_.opens_line))
        fail(Diag::unclosed_bracket, open, {source_.text(open)});
      else if (!at(close))
        fail_expected(std::string("',' or '") + close + "'");
    }
    advance();
    depth_--;
    e.items.shrink_to_fit();
  }

  Expression argument() {
    if (token_.kind != Token::Name)
      return expression();
    Location word = name("a name");
    if (!at('='))
      return after_name(word);
    advance();
    Expression e = expression();
    e.keyword = word;
    return e;
  }

  Expression after_name(Location word) {
    if (at('('))
      return call_after(word);
    Expression e;
    e.kind = Expression::Name;
    e.where = word;
    return e;
  }

  Expression expression() {
    Expression e;
    uint32_t start = token_.where.offset;
    if (token_.kind == Token::Name)
      return after_name(name("a name"));
    if (token_.kind == Token::BadNumber)
      fail(Diag::malformed_number, token_.where, {escaped(source_.text(token_.where), 40)});
    if (token_.kind == Token::Number) {
      if (std::abs(token_.number) > std::numeric_limits<float>::max())
        fail(Diag::number_too_large, token_.where, {escaped(source_.text(token_.where), 40)});
      e.kind = Expression::Number;
      e.number = token_.number;
      e.whole = token_.whole;
      advance();
    } else if (at('(') || at('[')) {
      e.kind = at('(') ? Expression::Tuple : Expression::List;
      bracket(e, at('(') ? ')' : ']', false);
    } else {
      fail_expected("a value");
    }
    e.where = between(start);
    return e;
  }
};
} // namespace

File parse(const Source &source, Diagnostics &diagnostics) { return Parser(source, diagnostics).file(); }

std::optional<Expression> parse_call(const Source &source, Diagnostics &diagnostics) {
  return Parser(source, diagnostics).call_alone();
}

std::string suggestion(const std::string &word, const std::vector<std::string> &candidates, bool list) {
  std::string near = near_miss(word, candidates);
  if (!near.empty())
    return "; did you mean '" + near + "'?";
  if (!list || candidates.empty())
    return "";
  std::string s = candidates.size() == 1 ? "; there is " : "; there are ";
  for (size_t i = 0; i < candidates.size(); i++)
    s += (i == 0 ? "" : i + 1 < candidates.size() ? ", "
                                                  : " and ") +
         candidates[i];
  return s;
}

} // namespace cnnc::syntax
