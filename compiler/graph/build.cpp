// From the syntax tree to the forward graph: names, arguments, shapes and initial values. What depends on something
// wrong is poisoned (kNoValue) and says nothing of shapes, so that one run reports each independent error once.
#include "graph/build.h"
#include "graph/reserved_names.h"

#include <algorithm>
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
using syntax::suggestion;

constexpr int64_t kMostElements = 1 << 26; // of a tensor; times 16 lanes it is still a 32-bit index
constexpr int64_t kMostDimensions = 4;
constexpr int64_t kMostBatch = 1 << 20;
constexpr int64_t kMostWindow = 1 << 15; // rows or columns of a kernel, stride or padding: fans stay below 2^63
constexpr int64_t kMostClasses = 65536;
constexpr size_t kMostNameLength = 64;
constexpr size_t kMostBytes = 1 << 26; // of the text; the command reads no larger file

const std::map<std::string, std::vector<Argument>> &init_schemes() {
  static const std::map<std::string, std::vector<Argument>> all = {
      {"xavier_uniform", {}},
      {"xavier_normal", {}},
      {"he_uniform", {}},
      {"he_normal", {}},
      {"uniform", {{"a", Argument::Number, true, true}, {"b", Argument::Number, true, true}}},
      {"constant", {{"c", Argument::Number, true, true}}}};
  return all;
}

// The ranges of the optimizers' arguments, as a float sees them.
struct Range {
  const char *argument, *expected;
  bool (*holds)(float);
};
const Range kRanges[] = {
    {"lr", "a number above 0", [](float v) { return v > 0; }},
    {"epsilon", "a number above 0", [](float v) { return v > 0; }},
    {"momentum", "a number from 0 to below 1", [](float v) { return v >= 0 && v < 1; }},
    {"beta1", "a number from 0 to below 1", [](float v) { return v >= 0 && v < 1; }},
    {"beta2", "a number from 0 to below 1", [](float v) { return v >= 0 && v < 1; }},
    {"weight_decay", "a number of at least 0", [](float v) { return v >= 0; }}};

template <class T>
std::vector<std::string> names_of(const std::vector<T> &all) {
  std::vector<std::string> names;
  for (const T &t : all)
    names.push_back(t.name);
  return names;
}

std::string counted(int64_t n, const std::string &what) {
  return fmt::format("{} {}{}", n == 0 ? "no" : std::to_string(n), what, n == 1 ? "" : "s");
}

// False where the product is above what is supported.
bool fits(const std::vector<int64_t> &dims) {
  int64_t n = 1;
  for (int64_t d : dims)
    if (__builtin_mul_overflow(n, d, &n) || n > kMostElements)
      return false;
  return true;
}

bool whole_number(const Expression &e) { return e.kind == Expression::Number && e.whole; }
// What a double cannot hold exactly is beyond every range.
int64_t integer_of(const Expression &e) { return int64_t(std::clamp(e.number, -0x1p60, 0x1p60)); }

const char *form_text(Argument::Form form) {
  switch (form) {
  case Argument::Integer: return "a whole number";
  case Argument::Number: return "a number";
  case Argument::Boolean: return "true or false";
  case Argument::Pair: return "a number or (height, width)";
  case Argument::Padding: return "a number, (height, width), (top, bottom, left, right) or same";
  case Argument::Values: return "a number or a nested list of numbers";
  case Argument::Name: return "a name";
  }
  return "";
}

// A text and its diagnostics: the file's, or the command line's.
struct Place {
  const Source &source;
  Diagnostics &diagnostics;

  std::string text(Location where) const { return source.text(where); }
  std::string callee(const Expression &call) const { return text(call.callee_where()); }
  // An expression on one line, cut where it is long
  std::string shown(const Expression &e) const {
    std::string s = text({e.where.offset, std::min<uint32_t>(e.where.length, 200)});
    s.erase(std::remove_if(s.begin(), s.end(), [](char c) { return c == '\n' || c == '\r'; }), s.end());
    return escaped(s, 40);
  }
  bool has_form(const Expression &e, Argument::Form form) const {
    auto is = [&](const char *word) { return e.kind == Expression::Name && text(e.where) == word; };
    auto whole_numbers = [&](size_t n) {
      return e.kind == Expression::Tuple && e.items.size() == n &&
             std::all_of(e.items.begin(), e.items.end(), whole_number);
    };
    switch (form) {
    case Argument::Integer: return whole_number(e);
    case Argument::Number: return e.kind == Expression::Number;
    case Argument::Boolean: return is("true") || is("false");
    case Argument::Pair: return whole_number(e) || whole_numbers(2);
    case Argument::Padding: return whole_number(e) || whole_numbers(2) || whole_numbers(4) || is("same");
    case Argument::Values: return e.kind == Expression::List || e.kind == Expression::Number;
    case Argument::Name: return e.kind == Expression::Name;
    }
    return false;
  }
};

// What a call gives for its schema; of the arguments only those of the right form.
struct Bound {
  std::string name;
  Location where;
  std::vector<const Expression *> inputs;
  std::map<std::string, const Expression *> arguments;
  bool failed = false;
  const Expression *find(const std::string &argument) const {
    auto it = arguments.find(argument);
    return it == arguments.end() ? nullptr : it->second;
  }
};

// The first positional arguments that are names or calls are the inputs.
Bound match(const Place &place, const Expression &call, const std::vector<Argument> &schema, int inputs) {
  Bound b;
  b.name = place.callee(call);
  b.where = call.where;
  auto fail = [&](Diag kind, Location where, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), b.name);
    place.diagnostics.report(kind, where, arguments);
    b.failed = true;
  };
  std::vector<const Argument *> positional;
  for (const Argument &a : schema)
    if (a.positional)
      positional.push_back(&a);
  std::map<std::string, Location> given; // right or wrong
  size_t next = 0;
  for (const Expression &e : call.items) {
    const Argument *a = nullptr;
    Location where = e.where;
    if (e.keyword.length) {
      where = e.keyword;
      std::string key = place.text(where);
      for (const Argument &candidate : schema)
        if (candidate.name == key)
          a = &candidate;
      if (!a) {
        fail(Diag::unknown_argument, where, {key, suggestion(key, names_of(schema), true)});
        continue;
      }
    } else if ((e.kind == Expression::Name || e.kind == Expression::Call) && next == 0 && inputs > 0 &&
               (int(b.inputs.size()) < inputs || positional.empty() || positional[0]->form != Argument::Name)) {
      b.inputs.push_back(&e);
      continue;
    } else if (next < positional.size()) {
      a = positional[next++];
    } else {
      fail(Diag::too_many_arguments, where, {counted(int64_t(positional.size()), "argument"), place.shown(e)});
      continue;
    }
    auto [first, fresh] = given.emplace(a->name, where);
    if (!fresh) {
      fail(Diag::repeated_argument, where, {a->name});
      place.diagnostics.note(first->second, "it is given here first");
    } else if (!place.has_form(e, a->form)) {
      fail(Diag::argument_form, e.where, {a->name, form_text(a->form), place.shown(e)});
    } else {
      b.arguments[a->name] = &e;
    }
  }
  for (const Argument &a : schema)
    if (a.required && !given.count(a.name))
      fail(Diag::missing_argument, call.where, {a.name});
  // The value above stands for a single input only.
  int found = int(b.inputs.size());
  if (found > inputs || (inputs > 1 && found < inputs))
    fail(Diag::input_count, call.where, {counted(inputs, "input"), std::to_string(found)});
  return b;
}

// How parameters begin: the `init` statement. Fans count the kernel's area; the gain of Xavier's is 1.
struct Init {
  std::string scheme = "xavier_uniform";
  double a = 0, b = 0;

  Attributes attributes(int64_t fan_in, int64_t fan_out) const {
    double in = double(fan_in), both = in + double(fan_out);
    auto make = [](const char *kind, double a, double b) {
      return Attributes{{"init", std::string(kind)}, {"a", a}, {"b", b}};
    };
    if (scheme == "xavier_uniform")
      return make("uniform", -std::sqrt(6 / both), std::sqrt(6 / both));
    if (scheme == "xavier_normal")
      return make("normal", 0, std::sqrt(2 / both));
    if (scheme == "he_uniform")
      return make("uniform", -std::sqrt(6 / in), std::sqrt(6 / in));
    if (scheme == "he_normal")
      return make("normal", 0, std::sqrt(2 / in));
    if (scheme == "uniform")
      return make("uniform", a, b);
    return {{"init", std::string("constant")}, {"a", a}};
  }
};

// Names that the text does not give.
class Names {
public:
  std::set<std::string> users; // names of values in the text, above or below
  std::string number() { return std::to_string(next_++); }
  void take_back() { next_--; } // the last number, for a value that takes the user's name
  // "conv2", past those that the user gave to a value
  std::string layer(const std::string &kind) {
    std::string name;
    do
      name = kind + std::to_string(++counts_[kind]);
    while (users.count(name));
    return name;
  }

private:
  int64_t next_ = 0;
  std::map<std::string, int64_t> counts_;
};

// One layer or loss. Getters report what is wrong with an argument and go on with the default.
class CallBuilder : public LayerBuilder {
public:
  CallBuilder(const Place &place, Graph &g, Names &names, const Init &init, Bound bound, std::vector<ValueId> inputs,
              std::string user_name)
      : place_(place), graph_(g), names_(names), init_(init), bound_(std::move(bound)), inputs_(std::move(inputs)),
        user_name_(std::move(user_name)), failed_(bound_.failed), poisoned_(inputs_.empty()) {
    for (ValueId v : inputs_) {
      poisoned_ |= v == kNoValue;
      // Copies, since nodes move while the layer adds its own
      dims_.push_back(v == kNoValue ? std::vector<int64_t>() : graph_[v].type.dims);
    }
  }

  // Values that no parameter took
  void check_used(const std::vector<Argument> &schema) {
    for (const Argument &a : schema)
      if (const Expression *e = bound_.find(a.name); e && a.form == Argument::Values && !used_.count(a.name))
        fail(Diag::unused_values, e->where, {bound_.name, a.name});
  }
  void poison() { poisoned_ = true; }
  bool failed() const { return failed_ || poisoned_; }

  Graph &graph() override { return graph_; }
  ValueId input(int i) override { return i < int(inputs_.size()) ? inputs_[i] : kNoValue; }
  const std::vector<int64_t> &input_dims(int i) override {
    static const std::vector<int64_t> none;
    return i < int(dims_.size()) ? dims_[i] : none;
  }
  bool has(const std::string &argument) override { return bound_.find(argument) != nullptr; }

  int64_t integer(const std::string &argument, int64_t fallback, int64_t min, int64_t max) override {
    const Expression *e = bound_.find(argument);
    return e && in_range(argument, *e, min, max) ? integer_of(*e) : fallback;
  }
  double number(const std::string &argument, double fallback) override {
    const Expression *e = bound_.find(argument);
    return e ? e->number : fallback;
  }
  bool boolean(const std::string &argument, bool fallback) override {
    const Expression *e = bound_.find(argument);
    return e ? place_.text(e->where) == "true" : fallback;
  }
  std::string name(const std::string &argument, const std::string &fallback) override {
    const Expression *e = bound_.find(argument);
    return e ? place_.text(e->where) : fallback;
  }
  std::vector<int64_t> pair(const std::string &argument, std::vector<int64_t> fallback, int64_t min) override {
    const Expression *e = bound_.find(argument);
    std::vector<int64_t> v = e ? numbers(argument, *e, min) : fallback;
    if (v.size() == 1)
      v.push_back(v[0]);
    return v.size() == 2 ? v : fallback;
  }
  std::vector<int64_t> padding(const std::string &argument, const std::vector<int64_t> &kernel) override {
    const Expression *e = bound_.find(argument);
    if (!e)
      return {0, 0, 0, 0};
    if (e->kind == Expression::Name) { // same: the smaller half before
      int64_t rows = kernel[0] - 1, columns = kernel[1] - 1;
      return {rows / 2, rows - rows / 2, columns / 2, columns - columns / 2};
    }
    std::vector<int64_t> v = numbers(argument, *e, 0);
    if (v.size() == 1)
      v.push_back(v[0]);
    if (v.size() == 2)
      return {v[0], v[0], v[1], v[1]};
    return v.size() == 4 ? v : std::vector<int64_t>{0, 0, 0, 0};
  }

  ValueId parameter(const std::string &suffix, const std::vector<int64_t> &dims, int64_t fan_in, int64_t fan_out,
                    bool bias) override {
    // `bias` itself is a flag of the layer, so that its values are `bias_values`.
    std::string argument = bias ? suffix + "_values" : suffix;
    const Expression *given = bound_.find(argument);
    used_.insert(argument);
    if (failed())
      return kNoValue;
    if (!fits(dims))
      return fail(Diag::tensor_too_large, bound_.where,
                  {bound_.name + ": the " + suffix, dims_text(dims, ", "), std::to_string(kMostElements)});
    Attributes a = bias ? Attributes{{"init", std::string("constant")}, {"a", 0.0}} : init_.attributes(fan_in, fan_out);
    if (given) {
      std::vector<double> values;
      if (!flatten(suffix, *given, dims, values))
        return kNoValue;
      a = {{"init", std::string("given")}, {"values", std::move(values)}};
    }
    a["dims"] = dims;
    if (scope_.empty())
      scope_ = user_name_.empty() ? names_.layer(bound_.name) : user_name_;
    return append("parameter", {}, std::move(a), scope_ + "." + suffix);
  }

  ValueId add(const std::string &op, std::vector<ValueId> inputs, Attributes attributes) override {
    if (failed() || std::count(inputs.begin(), inputs.end(), kNoValue))
      return kNoValue;
    // A label is called so, where no value of the user is.
    const Op *definition = registry().op(op);
    bool source = definition && (definition->traits & kSource) && !names_.users.count(op);
    ValueId v = append(op, std::move(inputs), std::move(attributes), source ? op : names_.number());
    if (v == kNoValue && !source)
      names_.take_back();
    return v;
  }

  ValueId error(const std::string &message) override {
    if (!poisoned_) {
      place_.diagnostics.report(Diag::layer, bound_.where, {message});
      for (size_t i = 0; i < inputs_.size(); i++)
        place_.diagnostics.note(graph_[inputs_[i]].location,
                                (i ? "the other input is " : "input is ") + plain(inputs_[i]));
    }
    failed_ = true;
    return kNoValue;
  }

private:
  Place place_;
  Graph &graph_;
  Names &names_;
  const Init &init_;
  Bound bound_;
  std::vector<ValueId> inputs_;
  std::vector<std::vector<int64_t>> dims_;
  std::string user_name_, scope_; // scope_: what parameters are named after
  std::set<std::string> used_;
  bool failed_, poisoned_;

  ValueId fail(Diag kind, Location where, const std::vector<std::string> &arguments) {
    place_.diagnostics.report(kind, where, arguments);
    failed_ = true;
    return kNoValue;
  }

  // A node's text without its attributes
  std::string plain(ValueId v) {
    Attributes kept;
    kept.swap(graph_[v].attributes);
    std::string s = node_text(graph_, v);
    kept.swap(graph_[v].attributes);
    return s;
  }

  ValueId append(const std::string &op, std::vector<ValueId> inputs, Attributes attributes, const std::string &name) {
    try {
      ValueId v = graph_.add(op, std::move(inputs), std::move(attributes), name, bound_.where);
      if (fits(graph_[v].type.dims))
        return v;
      std::string dims = dims_text(graph_[v].type.dims, ", ");
      graph_.nodes.pop_back();
      return fail(Diag::tensor_too_large, bound_.where,
                  {bound_.name + ": the result", dims, std::to_string(kMostElements)});
    } catch (const GraphError &e) {
      return error(e.message);
    }
  }

  bool in_range(const std::string &argument, const Expression &e, int64_t min, int64_t max) {
    if (int64_t v = integer_of(e); v >= min && v <= max)
      return true;
    fail(Diag::out_of_range, e.where,
         {bound_.name + ": " + argument, fmt::format("{} to {}", min, max), place_.shown(e)});
    return false;
  }
  // Of one number or a tuple; empty where one is out of range
  std::vector<int64_t> numbers(const std::string &argument, const Expression &e, int64_t min) {
    std::vector<int64_t> v;
    bool right = true;
    auto take = [&](const Expression &item) {
      right &= in_range(argument, item, min, kMostWindow);
      v.push_back(integer_of(item));
    };
    if (e.kind == Expression::Number)
      take(e);
    for (const Expression &item : e.items)
      take(item);
    return right ? v : std::vector<int64_t>();
  }

  // A nested list's numbers in row order, if its shape is `dims`, leading ones left out or not
  bool flatten(const std::string &suffix, const Expression &list, const std::vector<int64_t> &dims,
               std::vector<double> &values) {
    std::vector<int64_t> shape; // by the first list of each level
    for (const Expression *e = &list; e->kind == Expression::List;) {
      shape.push_back(int64_t(e->items.size()));
      if (e->items.empty())
        break;
      e = &e->items[0];
    }
    if (!collect(suffix, list, shape, 0, values))
      return false;
    std::vector<int64_t> whole = shape;
    if (whole.size() < dims.size())
      whole.insert(whole.begin(), dims.size() - whole.size(), 1);
    if (whole == dims)
      return true;
    fail(Diag::values_shape, list.where,
         {bound_.name, suffix, dims_text(dims), shape.empty() ? "one number" : dims_text(shape)});
    return false;
  }
  bool collect(const std::string &suffix, const Expression &e, const std::vector<int64_t> &shape, size_t depth,
               std::vector<double> &values) {
    bool leaf = depth == shape.size();
    if (leaf && e.kind == Expression::Number) {
      values.push_back(e.number);
      return true;
    }
    if (!leaf && e.kind == Expression::List && int64_t(e.items.size()) == shape[depth])
      return std::all_of(e.items.begin(), e.items.end(),
                         [&](const Expression &item) { return collect(suffix, item, shape, depth + 1, values); });
    std::string found = "'" + place_.shown(e) + "'";
    if (e.kind == Expression::Number || e.kind == Expression::List) {
      std::string expected = leaf ? "a number" : fmt::format("a list of {}", shape[depth]);
      found = e.kind == Expression::List ? fmt::format("a list of {}", e.items.size()) : found;
      fail(Diag::values_ragged, e.where, {bound_.name, suffix, expected, found});
    } else {
      fail(Diag::argument_form, e.where, {bound_.name, suffix, "numbers and lists alone", place_.shown(e)});
    }
    return false;
  }
};

// The whole model.
class Builder {
public:
  Builder(const Source &source, const Overrides &overrides, Diagnostics &diagnostics)
      : place_{source, diagnostics}, diagnostics_(diagnostics), overrides_(overrides) {}

  std::optional<Graph> build(const syntax::File &file) {
    collect(file);
    read_model(file);
    read_batch();
    if (const Statement *s = whole(Statement::Init))
      read_init(place_, s->value);
    if (!overrides_.init.empty())
      on_command_line(overrides_.init, [&](const Place &p, const Expression &e) { read_init(p, e); });
    above_ = read_tensor(Statement::Input, "input");
    target_ = read_tensor(Statement::Target, "target"); // the loss finds it in the graph
    for (const Statement &s : file.statements)
      if (s.kind == Statement::Layer && !diagnostics_.full())
        read_layer(s);
    read_output();
    read_loss();
    read_optimizer();
    if (!diagnostics_.failed())
      check_used();
    if (diagnostics_.failed())
      return std::nullopt;
    return std::move(graph_);
  }

private:
  struct Named {
    ValueId value;
    Location where; // of the name
  };

  Place place_;
  Diagnostics &diagnostics_;
  const Overrides &overrides_;
  Graph graph_;
  Names names_;
  Init init_;
  std::map<Statement::Kind, const Statement *> header_; // the first of each kind
  std::unordered_map<std::string, Location> defined_;   // every name of a value, above or below
  std::unordered_map<std::string, Named> values_;       // those that stand above
  std::set<std::string> definitions_;                   // refused blocks and functions
  ValueId above_ = kNoValue, target_ = kNoValue;
  int layers_ = 0;
  bool nameless_ = false; // the name of some value could not be read: an unknown one may be its

  std::string text(Location where) const { return place_.text(where); }
  const Statement *first(Statement::Kind kind) const {
    auto it = header_.find(kind);
    return it == header_.end() ? nullptr : it->second;
  }
  // The first, if it is without an error of syntax
  const Statement *whole(Statement::Kind kind) const {
    const Statement *s = first(kind);
    return s && !s->broken ? s : nullptr;
  }

  // Header statements, once each, and the names of values
  void collect(const syntax::File &file) {
    static const char *const words[] = {"model", "input", "target", "output", "loss", "optimizer", "init", "batch"};
    for (const Statement &s : file.statements) {
      if (s.kind == Statement::Definition) {
        definitions_.insert(text(s.name));
        continue;
      }
      bool tensor = s.kind == Statement::Input || s.kind == Statement::Target;
      if (s.kind == Statement::Layer) {
        layers_++;
      } else if (auto [it, fresh] = header_.emplace(s.kind, &s); !fresh) {
        if (s.kind == Statement::Input)
          diagnostics_.report(Diag::not_supported, s.where, {"several inputs are"});
        else
          diagnostics_.report(Diag::repeated_statement, s.where, {words[s.kind]});
        diagnostics_.note(it->second->where,
                          s.kind == Statement::Input ? "the first is here" : "it is given here first");
      }
      if (s.name.length && (tensor || s.kind == Statement::Layer))
        define(s.name);
      else
        nameless_ |= s.broken && (tensor || s.kind == Statement::Layer);
    }
  }
  bool check_length(Location name) {
    if (name.length <= kMostNameLength)
      return true;
    diagnostics_.report(Diag::name_too_long, name, {std::to_string(name.length), std::to_string(kMostNameLength)});
    return false;
  }
  void define(Location name) {
    check_length(name);
    auto [it, fresh] = defined_.emplace(text(name), name);
    if (!fresh) {
      diagnostics_.report(Diag::repeated_name, name, {text(name)});
      diagnostics_.note(it->second, "it is given here first");
    }
    names_.users.insert(text(name));
  }

  void read_model(const syntax::File &file) {
    const Statement *s = first(Statement::Model);
    if (file.statements.empty()) {
      if (!diagnostics_.failed())
        diagnostics_.report(Diag::model_first, {}, {"the end of the file"});
      return;
    }
    const Statement &top = file.statements[0];
    if (top.kind != Statement::Model) {
      diagnostics_.report(Diag::model_first, top.where, {"'" + escaped(first_word(top.where), 40) + "'"});
      if (s)
        diagnostics_.note(s->where, "the model is named here");
    }
    if (!s || s->broken || !check_length(s->name))
      return;
    graph_.name = text(s->name);
    auto refuse = [&](const char *why) { diagnostics_.report(Diag::model_name, s->name, {graph_.name, why}); };
    if (graph_.name[0] == '_' || graph_.name.find("__") != std::string::npos)
      refuse("C and C++ keep names with '_' in front or '__' inside for themselves");
    else if (graph_.name.compare(0, 4, "cnnc") == 0)
      refuse("names that begin with 'cnnc' are the library's own");
    else if (std::find(std::begin(kKeywords), std::end(kKeywords), graph_.name) != std::end(kKeywords))
      refuse("it has a meaning in C or C++");
    else if (std::find(std::begin(kLibraryNames), std::end(kLibraryNames), graph_.name) != std::end(kLibraryNames))
      refuse("the headers of the C library declare it");
  }
  std::string first_word(Location where) const {
    std::string s = text({where.offset, std::min<uint32_t>(where.length, 80)});
    return s.substr(0, std::max<size_t>(s.find_first_of(" \t\r\n(=:"), 1));
  }

  void read_batch() {
    if (const Statement *s = whole(Statement::Batch))
      check_batch(place_, s->value.where, whole_number(s->value) ? integer_of(s->value) : 0);
    if (overrides_.batch) {
      Source source("<command line>", std::to_string(*overrides_.batch));
      Diagnostics own(source);
      check_batch({source, own}, {0, uint32_t(source.text().size())}, *overrides_.batch);
      diagnostics_.append(own);
    }
  }
  void check_batch(const Place &place, Location where, int64_t batch) {
    graph_.batch = batch;
    if (batch < 1 || batch > kMostBatch)
      place.diagnostics.report(Diag::out_of_range, where,
                               {"batch", fmt::format("a whole number from 1 to {}", kMostBatch),
                                escaped(place.text(where), 40)});
  }

  // What the command line gives is a text of its own.
  template <class Read>
  void on_command_line(const std::string &given, Read read) {
    Source source("<command line>", given);
    Diagnostics own(source);
    if (auto call = syntax::parse_call(source, own))
      read(Place{source, own}, *call);
    diagnostics_.append(own);
  }

  void read_init(const Place &place, const Expression &call) {
    std::string scheme = place.callee(call);
    auto it = init_schemes().find(scheme);
    if (it == init_schemes().end()) {
      std::vector<std::string> names;
      for (const auto &known : init_schemes())
        names.push_back(known.first);
      place.diagnostics.report(Diag::unknown_init, call.callee_where(), {scheme, suggestion(scheme, names, true)});
      return;
    }
    Bound b = match(place, call, it->second, 0);
    if (b.failed)
      return;
    init_ = {scheme, 0, 0};
    if (scheme == "constant")
      init_.a = b.find("c")->number;
    if (scheme == "uniform") {
      const Expression &high = *b.find("b");
      init_.a = b.find("a")->number;
      init_.b = high.number;
      if (!(init_.a < init_.b))
        place.diagnostics.report(Diag::out_of_range, high.where,
                                 {"uniform: b", fmt::format("a number above a, {}", init_.a), place.shown(high)});
    }
  }

  // The input or the target; kNoValue where it is wrong or missing
  ValueId read_tensor(Statement::Kind kind, const std::string &op) {
    const Statement *s = first(kind);
    if (!s) {
      if (kind == Statement::Input && (first(Statement::Model) || layers_ > 0))
        diagnostics_.report(Diag::missing_input, first(Statement::Model) ? first(Statement::Model)->where : Location{});
      return kNoValue;
    }
    std::string name = text(s->name);
    if (s->name.length)
      values_[name] = {kNoValue, s->name};
    if (s->broken)
      return kNoValue;
    int errors = diagnostics_.errors();
    const std::vector<Expression> &items = s->value.items;
    std::vector<int64_t> dims;
    if (text(s->element) != "f32")
      diagnostics_.report(Diag::element_type, s->element, {text(s->element)});
    if (items.empty() || items.size() > kMostDimensions)
      diagnostics_.report(Diag::dimension_count, s->value.where,
                          {std::to_string(kMostDimensions), std::to_string(items.size())});
    for (const Expression &e : items) {
      dims.push_back(whole_number(e) ? integer_of(e) : 0);
      if (dims.back() < 1 || dims.back() > kMostElements)
        diagnostics_.report(Diag::dimension, e.where, {std::to_string(kMostElements), place_.shown(e)});
    }
    if (diagnostics_.errors() == errors && !fits(dims))
      diagnostics_.report(Diag::tensor_too_large, s->value.where,
                          {"the " + op, dims_text(dims, ", "), std::to_string(kMostElements)});
    if (diagnostics_.errors() != errors || defined_[name].offset != s->name.offset)
      return kNoValue;
    return values_[name].value = graph_.add(op, {}, {{"dims", dims}}, name, s->where);
  }

  void read_layer(const Statement &s) {
    above_ = s.broken ? kNoValue : layer(s.value, s.where, text(s.name));
    if (s.name.length)
      values_.emplace(text(s.name), Named{above_, s.name});
  }

  ValueId look_up(Location where) {
    std::string name = text(where);
    auto it = values_.find(name);
    if (it == values_.end()) {
      if (auto below = defined_.find(name); below != defined_.end()) {
        diagnostics_.report(Diag::used_too_early, where, {name});
        diagnostics_.note(below->second, "it is defined here");
      } else if (!nameless_) {
        std::vector<std::string> names;
        for (const auto &known : values_)
          names.push_back(known.first);
        std::sort(names.begin(), names.end());
        diagnostics_.report(Diag::unknown_value, where, {name, suggestion(name, names)});
      }
      return kNoValue;
    }
    const Statement *t = first(Statement::Target);
    if (t && t->name.length && it->second.where.offset == t->name.offset) {
      diagnostics_.report(Diag::target_as_value, where, {name});
      diagnostics_.note(t->where, "the target is here");
      return kNoValue;
    }
    return it->second.value;
  }

  // `name`: what the user calls the value, or empty
  ValueId layer(const Expression &call, Location where, const std::string &name) {
    std::string kind = place_.callee(call);
    const Layer *l = registry().layer(kind);
    if (!l) {
      if (!definitions_.count(kind))
        diagnostics_.report(Diag::unknown_layer, call.callee_where(),
                            {kind, suggestion(kind, names_of(registry().layers))});
      for (const Expression &e : call.items)
        if (e.kind == Expression::Call && !e.keyword.length)
          layer(e, e.where, "");
      return kNoValue;
    }
    Bound bound = match(place_, call, l->arguments, l->inputs);
    bound.where = where;
    std::vector<ValueId> inputs;
    for (const Expression *e : bound.inputs)
      inputs.push_back(e->kind == Expression::Call ? layer(*e, e->where, "") : look_up(e->where));
    if (inputs.empty() && l->inputs == 1)
      inputs.push_back(above_);
    ValueId begin = ValueId(graph_.nodes.size());
    CallBuilder b(place_, graph_, names_, init_, std::move(bound), std::move(inputs), name);
    ValueId v = guarded(b, [&] { return l->build(b); });
    if (!b.failed())
      b.check_used(l->arguments);
    if (b.failed() || v == kNoValue)
      return kNoValue;
    if (!name.empty() && v >= begin) {
      graph_[v].name = name;
      names_.take_back();
    }
    return v;
  }

  // A layer's own call of the graph may throw, too.
  template <class Build>
  ValueId guarded(CallBuilder &b, Build build) {
    try {
      return build();
    } catch (const GraphError &e) {
      return b.error(e.message);
    }
  }

  void read_output() {
    const Statement *s = first(Statement::Output), *model = first(Statement::Model);
    graph_.output = !s ? above_ : s->broken ? kNoValue
                                            : look_up(s->name);
    if (layers_ == 0) {
      if (model && !nameless_)
        diagnostics_.report(Diag::no_layers, model->where);
      graph_.output = kNoValue;
    } else if (graph_.output != kNoValue && graph_[graph_.output].op == "input") {
      diagnostics_.report(Diag::output_is_input, s ? s->name : graph_[graph_.output].location,
                          {graph_[graph_.output].name});
      graph_.output = kNoValue;
    }
  }

  void read_loss() {
    const Statement *s = first(Statement::Loss), *target = whole(Statement::Target);
    auto unused = [&](const std::string &why) {
      if (target)
        diagnostics_.report(Diag::unused_target, target->name, {text(target->name), why});
    };
    if (!s)
      return unused("the model has no loss");
    if (s->broken)
      return;
    std::string name = place_.callee(s->value);
    const Loss *l = registry().loss(name);
    if (!l) {
      diagnostics_.report(Diag::unknown_loss, s->value.callee_where(),
                          {name, suggestion(name, names_of(registry().losses), true)});
      return;
    }
    if (l->labels)
      unused(name + " takes class labels");
    Bound bound = match(place_, s->value, l->arguments, 0);
    bound.where = s->where;
    CallBuilder b(place_, graph_, names_, init_, std::move(bound), {graph_.output}, "");
    if (first(Statement::Target) && target_ == kNoValue)
      b.poison();
    guarded(b, [&] { return l->build(b), kNoValue; });
    ValueId label = b.failed() ? kNoValue : graph_.find("label");
    if (label != kNoValue && graph_[label].integer("classes") > kMostClasses)
      diagnostics_.report(Diag::too_many_classes, s->where,
                          {name, std::to_string(graph_[label].integer("classes")), std::to_string(kMostClasses)});
  }

  void read_optimizer() {
    const Statement *s = first(Statement::Optimizer), *loss = first(Statement::Loss);
    if (s && !s->broken)
      read_optimizer(place_, s->value);
    if (!overrides_.optimizer.empty())
      on_command_line(overrides_.optimizer, [&](const Place &p, const Expression &e) {
        read_optimizer(p, e);
        if (!s && !loss)
          p.diagnostics.report(Diag::missing_loss, e.where);
      });
    if (loss && !s && overrides_.optimizer.empty())
      diagnostics_.report(Diag::missing_optimizer, loss->where);
    if (s && !loss)
      diagnostics_.report(Diag::missing_loss, s->where);
  }
  void read_optimizer(const Place &place, const Expression &call) {
    std::string name = place.callee(call);
    const Optimizer *o = registry().optimizer(name);
    if (!o) {
      place.diagnostics.report(Diag::unknown_optimizer, call.callee_where(),
                               {name, suggestion(name, names_of(registry().optimizers), true)});
      return;
    }
    Bound b = match(place, call, o->arguments, 0);
    graph_.optimizer = name;
    graph_.optimizer_attributes.clear();
    for (const auto &[argument, value] : o->defaults)
      graph_.optimizer_attributes[argument] = value;
    for (const auto &[argument, e] : b.arguments) {
      graph_.optimizer_attributes[argument] = e->number;
      for (const Range &r : kRanges)
        if (argument == r.argument && !r.holds(float(e->number)))
          place.diagnostics.report(Diag::out_of_range, e->where, {name + ": " + argument, r.expected, place.shown(*e)});
    }
  }

  // A layer on which nothing hangs would be computed, and its parameters kept, for nothing.
  void check_used() {
    auto users = graph_.users();
    for (ValueId v = 0; v < ValueId(graph_.nodes.size()); v++)
      if (users[v].empty() && v != graph_.output && v != graph_.loss && v != graph_.correct &&
          !has_trait(graph_[v], kSource))
        diagnostics_.report(Diag::unused_value, graph_[v].location, {graph_[graph_.output].name});
    if (graph_.loss != kNoValue && graph_.find("parameter") == kNoValue)
      diagnostics_.report(Diag::nothing_to_train, graph_[graph_.loss].location);
  }
};
} // namespace

std::optional<Graph> build_graph(const Source &source, const Overrides &overrides, Diagnostics &diagnostics) {
  if (source.text().size() > kMostBytes) {
    diagnostics.report(Diag::source_too_large, {}, {std::to_string(source.text().size()), std::to_string(kMostBytes)});
    return std::nullopt;
  }
  syntax::File file = syntax::parse(source, diagnostics);
  return Builder(source, overrides, diagnostics).build(file);
}

} // namespace cnnc
