// From the syntax tree to the forward graph. What can be checked without the shapes of a broken layer is checked, so
// that one run reports every independent error.
#include "graph/build.h"

#include <cmath>
#include <fmt/format.h>
#include <set>
#include <unordered_map>

#include "layers/builder.h"
#include "syntax/parser.h"

namespace cnnc {

namespace {
using syntax::Expression;
using syntax::Statement;

constexpr int64_t kMostElements = int64_t(1) << 26; // of a value; times 16 lanes it is still a 32-bit index
constexpr int64_t kMostBatch = int64_t(1) << 20;

struct Initialiser {
  std::string name = "xavier_uniform";
  double a = 0, b = 0;
};

// What an argument of a form looks like, for messages.
const char *form_text(Argument::Form form) {
  switch (form) {
  case Argument::Integer: return "a whole number";
  case Argument::Number: return "a number";
  case Argument::Boolean: return "true or false";
  case Argument::Pair: return "a whole number or (height, width)";
  case Argument::Padding: return "a whole number, (height, width), (top, bottom, left, right) or same";
  case Argument::Values: return "a list of numbers";
  case Argument::Name: return "a name";
  }
  return "";
}

bool is_reserved_in_c(const std::string &name) {
  static const std::set<std::string> words = {
      "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "char16_t",
      "char32_t", "char8_t", "class", "co_await", "co_return", "co_yield", "compl", "concept", "const", "const_cast", "consteval",
      "constexpr", "constinit", "continue", "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum",
      "explicit", "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "main", "mutable",
      "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private", "protected", "public",
      "register", "reinterpret_cast", "requires", "restrict", "return", "short", "signed", "sizeof", "static", "static_assert",
      "static_cast", "std", "struct", "switch", "template", "this", "thread_local", "throw", "true", "try", "typedef", "typeid",
      "typename", "union", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq"};
  return words.count(name) != 0;
}

class Builder : public LayerBuilder {
public:
  Builder(const Source &source, const Overrides &overrides, Diagnostics &diagnostics)
      : main_(source), overrides_(overrides), main_diagnostics_(diagnostics), source_(&source), diagnostics_(&diagnostics) {}

  std::optional<Graph> build() {
    syntax::File file = syntax::parse(main_, main_diagnostics_);
    graph_.nodes.reserve(file.statements.size() * 4 + 16);
    collect_names(file);
    headers(file);
    for (const Statement &s : file.statements)
      if (s.kind == Statement::Layer)
        layer_statement(s);
    choose_output();
    loss_and_optimizer();
    if (main_diagnostics_.failed())
      return std::nullopt;
    verify(graph_, "build");
    return std::move(graph_);
  }

  // LayerBuilder -------------------------------------------------------------------------------------------------
  Graph &graph() override { return graph_; }
  ValueId input(int i) override { return inputs_.at(size_t(i)); }
  const std::vector<int64_t> &input_dims(int i) override { return graph_[inputs_.at(size_t(i))].type.dims; }
  bool has(const std::string &argument) override { return bound_.count(argument) != 0; }

  int64_t integer(const std::string &argument, int64_t fallback, int64_t min, int64_t max) override {
    const Expression *e = find(argument);
    return e ? whole(argument, *e, min, max, fallback) : fallback;
  }
  double number(const std::string &argument, double fallback) override {
    const Expression *e = find(argument);
    return e ? e->number : fallback;
  }
  bool boolean(const std::string &argument, bool fallback) override {
    const Expression *e = find(argument);
    return e ? text(e->where) == "true" : fallback;
  }
  std::string name(const std::string &argument, const std::string &fallback) override {
    const Expression *e = find(argument);
    return e ? text(e->where) : fallback;
  }
  std::vector<int64_t> pair(const std::string &argument, std::vector<int64_t> fallback, int64_t min) override {
    const Expression *e = find(argument);
    if (!e)
      return fallback;
    if (e->kind == Expression::Number) {
      int64_t v = whole(argument, *e, min, 1 << 20, min);
      return {v, v};
    }
    return {whole(argument, e->items[0], min, 1 << 20, min), whole(argument, e->items[1], min, 1 << 20, min)};
  }
  std::vector<int64_t> padding(const std::string &argument, const std::vector<int64_t> &kernel) override {
    const Expression *e = find(argument);
    if (!e)
      return {0, 0, 0, 0};
    if (e->kind == Expression::Name) { // same: stride 1 keeps the size; the larger half goes after
      int64_t h = kernel[0] - 1, w = kernel[1] - 1;
      return {h / 2, h - h / 2, w / 2, w - w / 2};
    }
    std::vector<int64_t> v;
    if (e->kind == Expression::Number)
      v.assign(4, whole(argument, *e, 0, 1 << 20, 0));
    for (const Expression &item : e->items)
      v.push_back(whole(argument, item, 0, 1 << 20, 0));
    if (v.size() == 2)
      v = {v[0], v[0], v[1], v[1]};
    return v;
  }

  ValueId parameter(const std::string &suffix, const std::vector<int64_t> &dims, int64_t fan_in, int64_t fan_out, bool bias) override {
    if (failed_ || !fits(dims))
      return kNoValue;
    std::map<std::string, Attribute> a{{"dims", dims}};
    const Expression *given = find(bias ? suffix + "_values" : suffix);
    if (given) {
      std::vector<double> values;
      std::vector<int64_t> shape = list_shape(*given, bias ? suffix + "_values" : suffix, values);
      if (failed_)
        return kNoValue;
      std::vector<int64_t> full = shape; // leading dimensions of one may be left out
      while (full.size() < dims.size())
        full.insert(full.begin(), 1);
      if (full != dims) {
        report(Diag::wrong_shape, given->where, {callee_, bias ? suffix + "_values" : suffix, dims_text(dims), dims_text(shape)});
        return kNoValue;
      }
      a["init"] = std::string("given");
      a["values"] = values;
    } else if (bias) {
      a["init"] = std::string("constant");
      a["a"] = 0.0;
    } else {
      initialise(a, double(fan_in), double(fan_out));
    }
    if (prefix_.empty())
      prefix_ = user_name_.empty() ? next_prefix() : user_name_;
    return graph_.add("parameter", {}, a, prefix_ + "." + suffix, at_);
  }

  ValueId add(const std::string &op, std::vector<ValueId> inputs, std::map<std::string, Attribute> attributes) override {
    for (ValueId i : inputs)
      failed_ = failed_ || i == kNoValue;
    if (failed_)
      return kNoValue;
    try {
      // A name that no text can give; the right one comes when the layer is whole.
      ValueId v = graph_.add(op, inputs, std::move(attributes), fmt::format("?{}", graph_.nodes.size()), at_);
      if (op == "label" && graph_[v].integer("classes") > 65536)
        report(Diag::too_many_classes, at_, {callee_, std::to_string(graph_[v].integer("classes"))});
      return fits(graph_[v].type.dims) ? v : kNoValue;
    } catch (const GraphError &e) {
      return error(e.message);
    }
  }

  ValueId error(const std::string &message) override {
    report(Diag::shape, at_, {message});
    note_input();
    return kNoValue;
  }

private:
  const Source &main_;
  const Overrides &overrides_;
  Diagnostics &main_diagnostics_;
  // Of the text that is being read: the model's, or an option of the command line.
  const Source *source_;
  Diagnostics *diagnostics_;

  Graph graph_;
  std::unordered_map<std::string, ValueId> values_; // kNoValue: its statement is wrong, and what uses it stays silent
  std::unordered_map<std::string, Location> defined_;
  std::set<std::string> user_names_;
  std::map<std::string, int> counters_; // unnamed layers with parameters, by kind
  int next_number_ = 0;
  bool have_value_ = false; // there is a value above
  ValueId above_ = kNoValue;
  Initialiser init_;
  std::map<Statement::Kind, const Statement *> header_;

  // Of the layer, loss or optimizer that is being built.
  std::string callee_, user_name_, prefix_;
  Location at_;
  bool failed_ = false;
  std::vector<ValueId> inputs_;
  std::map<std::string, const Expression *> bound_;

  std::string text(Location where) const { return source_->text(where); }
  void report(Diag kind, Location where, const std::vector<std::string> &arguments) {
    failed_ = true;
    diagnostics_->report(kind, where, arguments);
  }
  const Expression *find(const std::string &argument) const {
    auto it = bound_.find(argument);
    return it == bound_.end() ? nullptr : it->second;
  }

  void note_input() {
    if (inputs_.empty() || inputs_[0] == kNoValue || diagnostics_ != &main_diagnostics_)
      return;
    const Node &n = graph_[inputs_[0]];
    std::string shown = node_text(graph_, inputs_[0]);
    size_t attributes = shown.find(" {");
    if (attributes != std::string::npos)
      shown = shown.substr(0, attributes) + " : " + type_text(n.type);
    diagnostics_->note(n.location, "input is " + shown);
  }

  bool fits(const std::vector<int64_t> &dims) {
    int64_t size = 1;
    for (int64_t d : dims)
      if (__builtin_mul_overflow(size, d, &size) || size > kMostElements) {
        report(Diag::too_large, at_, {callee_, dims_text(dims), std::to_string(kMostElements)});
        note_input();
        return false;
      }
    return true;
  }

  int64_t whole(const std::string &argument, const Expression &e, int64_t min, int64_t max, int64_t fallback) {
    if (e.number < double(min) || e.number > double(max)) {
      report(Diag::out_of_range, e.where, {callee_, argument, fmt::format("from {} to {}", min, max), text(e.where)});
      return fallback;
    }
    return int64_t(e.number);
  }

  // Flattens nested lists; {} after an error. A list of one number is [1].
  std::vector<int64_t> list_shape(const Expression &e, const std::string &argument, std::vector<double> &values) {
    std::vector<int64_t> inner;
    for (size_t i = 0; i < e.items.size(); i++) {
      const Expression &item = e.items[i];
      std::vector<int64_t> shape;
      if (item.kind == Expression::List) {
        shape = list_shape(item, argument, values);
        if (failed_)
          return {};
      } else if (item.kind == Expression::Number) {
        values.push_back(item.number);
      } else {
        report(Diag::wrong_form, item.where, {callee_, argument, "a number or a list", "'" + escaped(text(item.where), 40) + "'"});
        return {};
      }
      if (i > 0 && shape != inner) {
        report(Diag::ragged, item.where, {callee_, argument, shape_text(inner), shape_text(shape)});
        return {};
      }
      inner = shape;
    }
    if (e.items.empty()) {
      report(Diag::wrong_form, e.where, {callee_, argument, "a list of numbers", "an empty list"});
      return {};
    }
    inner.insert(inner.begin(), int64_t(e.items.size()));
    return inner;
  }
  static std::string shape_text(const std::vector<int64_t> &shape) { return shape.empty() ? "a number" : dims_text(shape); }

  // Glorot and Bengio 2010 (xavier), He et al. 2015, with gain 1 and a fan that includes the kernel's area.
  void initialise(std::map<std::string, Attribute> &a, double fan_in, double fan_out) const {
    double bound = 0, deviation = 0;
    if (init_.name == "constant") {
      a["init"] = std::string("constant"), a["a"] = init_.a;
      return;
    }
    if (init_.name == "uniform") {
      a["init"] = std::string("uniform"), a["a"] = init_.a, a["b"] = init_.b;
      return;
    }
    if (init_.name == "xavier_uniform")
      bound = std::sqrt(6 / (fan_in + fan_out));
    else if (init_.name == "he_uniform")
      bound = std::sqrt(6 / fan_in);
    else
      deviation = std::sqrt(init_.name == "xavier_normal" ? 2 / (fan_in + fan_out) : 2 / fan_in);
    a["init"] = std::string(bound > 0 ? "uniform" : "normal");
    a["a"] = -bound + 0.0; // no negative zero
    a["b"] = bound > 0 ? bound : deviation;
  }

  // "conv1": counted by kind over the layers without a name, past the names that the user took.
  std::string next_prefix() {
    std::string name;
    do
      name = fmt::format("{}{}", callee_, ++counters_[callee_]);
    while (user_names_.count(name));
    return name;
  }

  void collect_names(const syntax::File &file) {
    for (const Statement &s : file.statements)
      if (s.name.length)
        user_names_.insert(text(s.name));
  }

  std::vector<std::string> value_names() const {
    std::vector<std::string> names;
    for (const auto &[name, v] : values_)
      names.push_back(name);
    return names;
  }

  // Header statements --------------------------------------------------------------------------------------------
  void headers(const syntax::File &file) {
    if (file.statements.empty()) {
      if (!main_diagnostics_.failed())
        report(Diag::no_model, {0, 0}, {});
      return;
    }
    if (file.statements[0].kind != Statement::Model)
      report(Diag::model_first, file.statements[0].where, {"none"});
    for (const Statement &s : file.statements) {
      if (s.kind == Statement::Layer || s.kind == Statement::Definition)
        continue;
      auto [it, fresh] = header_.emplace(s.kind, &s);
      if (fresh)
        continue;
      Location first = it->second->where;
      if (s.kind == Statement::Input && !s.broken && !it->second->broken)
        report(Diag::second_input, s.where, {text(it->second->name)});
      else
        report(Diag::said_twice, s.where, {text(s.where).substr(0, text(s.where).find_first_of(" \t"))});
      diagnostics_->note(first, "the first one is here");
    }
    if (const Statement *s = header(Statement::Model))
      model_name(*s);
    for (Statement::Kind kind : {Statement::Input, Statement::Target})
      if (const Statement *s = header(kind))
        image(*s, kind == Statement::Input ? "input" : "target");
    if (!header_.count(Statement::Input))
      report(Diag::no_input, file.statements[0].where, {});
    if (const Statement *s = header(Statement::Batch)) {
      if (s->value.kind != Expression::Number || !s->value.whole || s->value.number < 1 || s->value.number > double(kMostBatch))
        report(Diag::batch, s->value.where, {std::to_string(kMostBatch), text(s->value.where)});
      else
        graph_.batch = int64_t(s->value.number);
    }
    if (overrides_.batch) {
      graph_.batch = *overrides_.batch;
      if (graph_.batch < 1 || graph_.batch > kMostBatch)
        in_option("--batch", std::to_string(graph_.batch), [&](const Expression *) {
          report(Diag::batch, {0, uint32_t(source_->text().size())}, {std::to_string(kMostBatch), source_->text()});
        }, false);
    }
    if (!overrides_.init.empty())
      in_option("--init", overrides_.init, [&](const Expression *e) { initialiser(*e); });
    else if (const Statement *s = header(Statement::Init))
      initialiser(s->value);
  }

  // The statement, if it is there and without an error of syntax.
  const Statement *header(Statement::Kind kind) const {
    auto it = header_.find(kind);
    return it == header_.end() || it->second->broken ? nullptr : it->second;
  }

  // Reads an option of the command line as a text of its own.
  template <class F> void in_option(const std::string &option, const std::string &value, F use, bool parse = true) {
    Source source(option, value);
    Diagnostics diagnostics(source);
    source_ = &source, diagnostics_ = &diagnostics;
    if (!parse)
      use(nullptr);
    else if (auto e = syntax::parse_call(source, diagnostics))
      use(&*e);
    source_ = &main_, diagnostics_ = &main_diagnostics_;
    main_diagnostics_.append(diagnostics);
  }

  void model_name(const Statement &s) {
    graph_.name = text(s.name);
    if (is_reserved_in_c(graph_.name))
      report(Diag::model_name, s.name, {graph_.name, "it is a word of C or C++"});
    else if (graph_.name[0] == '_' || graph_.name.find("__") != std::string::npos)
      report(Diag::model_name, s.name, {graph_.name, "C and C++ keep names like this for themselves"});
    else if (graph_.name.size() > 64)
      report(Diag::model_name, s.name, {escaped(graph_.name, 40), "it is longer than 64 characters"});
    else if (graph_.name.compare(0, 4, "cnnc") == 0)
      report(Diag::model_name, s.name, {graph_.name, "names that begin with 'cnnc' are the library's own"});
  }

  void image(const Statement &s, const std::string &op) {
    failed_ = false;
    callee_ = op, at_ = s.where;
    inputs_.clear();
    std::string name = text(s.name);
    std::vector<int64_t> dims;
    if (text(s.element) != "f32")
      report(Diag::unknown_type, s.element, {text(s.element)});
    for (const Expression &e : s.value.items) {
      if (e.kind != Expression::Number || !e.whole || e.number < 1 || e.number > double(kMostElements))
        report(Diag::dimension, e.where, {std::to_string(kMostElements), "'" + escaped(text(e.where), 40) + "'"});
      else
        dims.push_back(int64_t(e.number));
    }
    if (!failed_ && (dims.empty() || dims.size() > 4))
      report(Diag::rank, s.value.where, {std::to_string(dims.size())});
    ValueId v = !failed_ && fits(dims) ? graph_.add(op, {}, {{"dims", dims}}, name, s.where) : kNoValue;
    define(name, s.name, v);
    if (op == "input")
      above_ = v, have_value_ = true;
  }

  void define(const std::string &name, Location where, ValueId v) {
    if (auto it = defined_.find(name); it != defined_.end()) {
      report(Diag::redefined, where, {name});
      diagnostics_->note(it->second, "here");
      return;
    }
    static const std::set<std::string> words = {"model", "input", "target", "output", "loss", "optimizer", "init",
                                                "batch", "block", "function", "true", "false", "same"};
    if (words.count(name))
      report(Diag::reserved, where, {name});
    defined_[name] = where;
    values_[name] = v;
  }

  void initialiser(const Expression &e) {
    std::string name = text(e.callee_where());
    static const std::map<std::string, int> known = {{"xavier_uniform", 0}, {"xavier_normal", 0}, {"he_uniform", 0},
                                                     {"he_normal", 0},      {"uniform", 2},       {"constant", 1}};
    auto it = known.find(name);
    if (it == known.end()) {
      std::vector<std::string> names;
      for (const auto &[n, _] : known)
        names.push_back(n);
      report(Diag::unknown_initialiser, e.callee_where(), {name, syntax::suggestion(name, names, true)});
      return;
    }
    std::vector<double> numbers;
    for (const Expression &item : e.items)
      if (item.kind == Expression::Number && !item.keyword.length)
        numbers.push_back(item.number);
    const char *expected = it->second == 0 ? "no arguments" : it->second == 1 ? "a number" : "two numbers, the lower first";
    if (numbers.size() != e.items.size() || int(numbers.size()) != it->second || (it->second == 2 && numbers[0] > numbers[1])) {
      report(Diag::initialiser_arguments, e.where, {name, expected, "'" + escaped(text(e.where), 60) + "'"});
      return;
    }
    init_ = {name, numbers.empty() ? 0 : numbers[0], numbers.size() < 2 ? 0 : numbers[1]};
  }

  // Layers -------------------------------------------------------------------------------------------------------
  void layer_statement(const Statement &s) {
    std::string name = s.name.length ? text(s.name) : "";
    ValueId v = s.broken ? kNoValue : layer(s.value, name, s.name.length ? s.where : s.value.where);
    if (!name.empty())
      define(name, s.name, v);
    above_ = v, have_value_ = true;
  }

  // The value of a call, or kNoValue once an error has been reported.
  ValueId layer(const Expression &call, const std::string &user_name, Location where) {
    std::string kind = text(call.callee_where());
    const Layer *l = registry().layer(kind);
    std::vector<ValueId> inputs;
    size_t positional = 0; // arguments before these are inputs
    bool sound = true;
    for (const Expression &e : call.items) {
      if (e.keyword.length || (e.kind != Expression::Name && e.kind != Expression::Call))
        break;
      ValueId v = kNoValue;
      if (e.kind == Expression::Call) {
        v = layer(e, "", e.where);
      } else if (auto it = values_.find(text(e.where)); it != values_.end()) {
        v = it->second;
      } else {
        report(Diag::unknown_value, e.where, {text(e.where), syntax::suggestion(text(e.where), value_names())});
      }
      sound = sound && v != kNoValue;
      inputs.push_back(v);
      positional++;
    }
    if (!l) {
      std::vector<std::string> names;
      for (const Layer &known : registry().layers)
        names.push_back(known.name);
      report(Diag::unknown_layer, call.callee_where(), {kind, syntax::suggestion(kind, names)});
      return kNoValue;
    }
    callee_ = kind, user_name_ = user_name, prefix_.clear();
    at_ = where;
    failed_ = false;
    if (inputs.empty() && l->inputs == 1) {
      if (!have_value_)
        report(Diag::no_value_above, call.callee_where(), {kind});
      inputs.push_back(above_);
      sound = sound && above_ != kNoValue;
    } else if (int(inputs.size()) != l->inputs) {
      report(Diag::input_count, call.where, {kind, std::to_string(l->inputs), std::to_string(inputs.size())});
    }
    bind(call, positional, l->arguments);
    if (failed_ || !sound)
      return kNoValue;
    inputs_ = inputs;
    size_t first = graph_.nodes.size();
    ValueId v = l->build(*this);
    if (failed_ || v == kNoValue)
      return kNoValue;
    name_values(first, v, user_name);
    return v;
  }

  // Unnamed values are numbered in their order.
  void name_values(size_t first, ValueId last, const std::string &user_name) {
    for (size_t i = first; i < graph_.nodes.size(); i++) {
      Node &n = graph_.nodes[i];
      if (n.name[0] == '?')
        n.name = ValueId(i) == last && !user_name.empty() ? user_name : std::to_string(next_number_++);
    }
  }

  // Gives each argument its place in the schema, and checks what can be said without shapes.
  void bind(const Expression &call, size_t first, const std::vector<Argument> &schema) {
    bound_.clear();
    size_t next = 0, count = 0;
    for (const Argument &a : schema)
      count += a.positional;
    for (size_t i = first; i < call.items.size(); i++) {
      const Expression &e = call.items[i];
      const Argument *argument = nullptr;
      if (e.keyword.length) {
        std::vector<std::string> names;
        for (const Argument &a : schema) {
          names.push_back(a.name);
          if (a.name == text(e.keyword))
            argument = &a;
        }
        if (!argument) {
          report(Diag::unknown_argument, e.keyword, {callee_, text(e.keyword), syntax::suggestion(text(e.keyword), names)});
          continue;
        }
      } else {
        while (next < schema.size() && !schema[next].positional)
          next++;
        if (next == schema.size()) {
          report(Diag::too_many_arguments, e.where, {callee_, count == 0 ? "no arguments" : count == 1 ? "one argument" : fmt::format("{} arguments", count)});
          continue;
        }
        argument = &schema[next++];
      }
      if (!has_form(e, argument->form))
        report(Diag::wrong_form, e.where, {callee_, argument->name, form_text(argument->form), "'" + escaped(text(e.where), 40) + "'"});
      else if (!bound_.emplace(argument->name, &e).second)
        report(Diag::argument_twice, e.where, {callee_, argument->name});
    }
    for (const Argument &a : schema)
      if (a.required && !bound_.count(a.name) && !mentioned(call, a))
        report(Diag::missing_argument, call.where, {callee_, a.name});
  }

  // Given, but in a wrong form: one error is enough.
  bool mentioned(const Expression &call, const Argument &a) const {
    for (const Expression &e : call.items)
      if ((e.keyword.length && text(e.keyword) == a.name) || (!e.keyword.length && a.positional && e.kind != Expression::Name))
        return true;
    return false;
  }

  bool has_form(const Expression &e, Argument::Form form) const {
    auto whole_number = [](const Expression &x) { return x.kind == Expression::Number && x.whole; };
    auto all_whole = [&](size_t n) {
      if ((e.kind != Expression::Tuple && e.kind != Expression::List) || e.items.size() != n)
        return false;
      for (const Expression &x : e.items)
        if (!whole_number(x))
          return false;
      return true;
    };
    switch (form) {
    case Argument::Integer: return whole_number(e);
    case Argument::Number: return e.kind == Expression::Number;
    case Argument::Boolean: return e.kind == Expression::Name && (text(e.where) == "true" || text(e.where) == "false");
    case Argument::Pair: return whole_number(e) || all_whole(2);
    case Argument::Padding: return whole_number(e) || all_whole(2) || all_whole(4) || (e.kind == Expression::Name && text(e.where) == "same");
    case Argument::Values: return e.kind == Expression::List;
    case Argument::Name: return e.kind == Expression::Name;
    }
    return false;
  }

  // Output, loss and optimizer --------------------------------------------------------------------------------------
  void choose_output() {
    bool layers = false;
    for (const Node &n : graph_.nodes)
      layers = layers || !has_trait(n, kSource);
    if (!layers && !main_diagnostics_.failed())
      report(Diag::no_layers, {uint32_t(main_.text().size()), 0}, {});
    graph_.output = above_;
    const Statement *s = header(Statement::Output);
    if (!s)
      return;
    auto it = values_.find(text(s->name));
    if (it == values_.end())
      report(Diag::unknown_value, s->name, {text(s->name), syntax::suggestion(text(s->name), value_names())});
    graph_.output = it == values_.end() ? kNoValue : it->second;
  }

  void loss_and_optimizer() {
    const Statement *loss = header(Statement::Loss), *optimizer = header(Statement::Optimizer);
    bool says_loss = header_.count(Statement::Loss), says_optimizer = header_.count(Statement::Optimizer) || !overrides_.optimizer.empty();
    if (says_loss && !says_optimizer)
      report(Diag::no_optimizer, header_[Statement::Loss]->where, {});
    if (!says_loss && header_.count(Statement::Optimizer))
      report(Diag::no_loss, header_[Statement::Optimizer]->where, {"an optimizer"});
    else if (!says_loss && !overrides_.optimizer.empty())
      in_option("--optimizer", overrides_.optimizer, [&](const Expression *e) { report(Diag::no_loss, e->where, {"an optimizer"}); });
    else if (!says_loss && header_.count(Statement::Target))
      report(Diag::no_loss, header_[Statement::Target]->where, {"a target"});
    if (loss)
      add_loss(*loss);
    if (!overrides_.optimizer.empty())
      in_option("--optimizer", overrides_.optimizer, [&](const Expression *e) { add_optimizer(*e); });
    else if (optimizer)
      add_optimizer(optimizer->value);
  }

  void add_loss(const Statement &s) {
    std::string name = text(s.value.callee_where());
    const Loss *l = registry().loss(name);
    if (!l) {
      std::vector<std::string> names;
      for (const Loss &known : registry().losses)
        names.push_back(known.name);
      report(Diag::unknown_loss, s.value.callee_where(), {name, syntax::suggestion(name, names, true)});
      return;
    }
    callee_ = name, at_ = s.where, failed_ = false;
    bind(s.value, 0, l->arguments);
    if (l->labels && header_.count(Statement::Target) && !header_[Statement::Target]->broken)
      report(Diag::unused_target, header_[Statement::Target]->where, {text(header_[Statement::Target]->name), name});
    if (failed_ || graph_.output == kNoValue)
      return;
    inputs_ = {graph_.output};
    size_t first = graph_.nodes.size();
    l->build(*this);
    for (size_t i = first; i < graph_.nodes.size(); i++)
      if (graph_.nodes[i].op == "label" && !user_names_.count("label"))
        graph_.nodes[i].name = "label";
    name_values(first, kNoValue, "");
  }

  void add_optimizer(const Expression &e) {
    std::string name = text(e.callee_where());
    const Optimizer *o = registry().optimizer(name);
    if (!o) {
      std::vector<std::string> names;
      for (const Optimizer &known : registry().optimizers)
        names.push_back(known.name);
      report(Diag::unknown_optimizer, e.callee_where(), {name, syntax::suggestion(name, names, true)});
      return;
    }
    callee_ = name, failed_ = false;
    bind(e, 0, o->arguments);
    graph_.optimizer = name;
    for (const auto &[key, value] : o->defaults)
      graph_.optimizer_attributes[key] = value;
    for (const auto &[key, value] : bound_) {
      double v = value->number;
      bool good = key == "lr" || key == "epsilon" ? v > 0 : key == "weight_decay" ? v >= 0 : v >= 0 && v < 1;
      if (!good)
        report(Diag::out_of_range, value->where, {callee_, key, key == "lr" || key == "epsilon" ? "above 0" : key == "weight_decay" ? "at least 0" : "at least 0 and below 1", text(value->where)});
      graph_.optimizer_attributes[key] = v;
    }
  }
};
} // namespace

std::optional<Graph> build_graph(const Source &source, const Overrides &overrides, Diagnostics &diagnostics) {
  return Builder(source, overrides, diagnostics).build();
}

} // namespace cnnc
