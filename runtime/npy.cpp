// numpy's .npy: magic, version, length of the header, a Python dictionary as text, then the data.
#include "array.h"
#include "error.h"

#include <cstring>
#include <fmt/format.h>

namespace cnnc::runtime {
namespace {

constexpr std::size_t largest_header = 1 << 16; // bytes
constexpr std::size_t largest_rank = 8;

// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }, the keys in any order.
class Header {
public:
  Header(std::string text, const std::string &file) : text_(std::move(text)), file_(file) { parse(); }

  std::string descr;
  bool fortran = false;
  std::vector<std::uint64_t> shape;

private:
  [[noreturn]] void bad(const std::string &why) const {
    throw InputError(fmt::format("{}: bad .npy header at byte {}: {}", file_, at_, why));
  }
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool take(char c) {
    space();
    if (at_ < text_.size() && text_[at_] == c) return ++at_, true;
    return false;
  }
  void expect(char c) {
    if (!take(c)) bad(fmt::format("expected '{}'", c));
  }
  std::string quoted() {
    space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) bad("expected a quoted word");
    const char quote = text_[at_++];
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string::npos) bad("a quote is not closed");
    std::string word = text_.substr(at_, end - at_);
    at_ = end + 1;
    return word;
  }
  bool boolean() {
    space();
    if (text_.compare(at_, 4, "True") == 0) return at_ += 4, true;
    if (text_.compare(at_, 5, "False") == 0) return at_ += 5, false;
    bad("expected True or False");
  }
  std::uint64_t number() {
    space();
    const std::size_t begin = at_;
    std::uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, std::uint64_t(10), &value) ||
          __builtin_add_overflow(value, std::uint64_t(text_[at_] - '0'), &value))
        bad("a dimension is too large");
    if (at_ == begin) bad("expected a dimension");
    return value;
  }
  void tuple() {
    expect('(');
    while (!take(')')) {
      if (shape.size() == largest_rank) bad(fmt::format("more than {} dimensions", largest_rank));
      shape.push_back(number());
      if (!take(',')) {
        expect(')');
        break;
      }
    }
  }
  void parse() {
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      bool *seen = key == "descr" ? &has_descr : key == "fortran_order" ? &has_order
                                             : key == "shape"           ? &has_shape
                                                                        : nullptr;
      if (!seen) bad(fmt::format("unknown key '{}'", key));
      if (*seen) bad(fmt::format("key '{}' twice", key));
      *seen = true;
      if (seen == &has_shape) {
        tuple();
      } else if (seen == &has_order) {
        fortran = boolean();
      } else {
        space();
        if (at_ < text_.size() && text_[at_] == '[') bad("structured elements, expected plain numbers");
        descr = quoted();
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    space();
    if (at_ != text_.size()) bad("text after the dictionary");
    if (!has_descr || !has_order || !has_shape) bad("'descr', 'fortran_order' or 'shape' is missing");
  }

  std::string text_;
  const std::string &file_;
  std::size_t at_ = 0;
};

Element element_of(const std::string &descr, const std::string &file) {
  static const struct {
    const char *code;
    Element type;
  } types[] = {{"u1", Element::u8}, {"i1", Element::i8}, {"u2", Element::u16}, {"i2", Element::i16}, {"u4", Element::u32}, {"i4", Element::i32}, {"u8", Element::u64}, {"i8", Element::i64}, {"f4", Element::f32}, {"f8", Element::f64}};
  if (descr.size() == 3)
    for (const auto &t : types)
      if (descr.compare(1, 2, t.code) == 0) {
        if (descr[0] == '>' && element_size(t.type) > 1)
          throw InputError(fmt::format("{}: big-endian elements '{}', expected little-endian '<{}'", file, descr, t.code));
        if (descr[0] == '<' || descr[0] == '|' || descr[0] == '=' || descr[0] == '>') return t.type;
      }
  throw InputError(fmt::format("{}: elements of type '{}', expected uint8, an integer type, float32 or float64", file, descr));
}

} // namespace

Array parse_npy(Bytes bytes, const std::string &file) {
  static const std::uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (bytes.size() < 10) throw InputError(fmt::format("{}: cut short: {} bytes, a .npy header has at least 10", file, bytes.size()));
  if (std::memcmp(bytes.data(), magic, sizeof magic) != 0)
    throw InputError(fmt::format("{}: not a .npy file: it does not begin with \\x93NUMPY", file));
  const int version = bytes[6];
  if (version < 1 || version > 3) throw InputError(fmt::format("{}: .npy version {}, expected 1 to 3", file, version));
  const std::size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) throw InputError(fmt::format("{}: cut short: {} bytes, its header has more than {}", file, bytes.size(), start));
  std::size_t length = bytes[8] | std::size_t(bytes[9]) << 8;
  if (version > 1) length |= std::size_t(bytes[10]) << 16 | std::size_t(bytes[11]) << 24;
  if (length > largest_header) throw InputError(fmt::format("{}: a header of {} bytes, at most {} expected", file, length, largest_header));
  if (bytes.size() - start < length)
    throw InputError(fmt::format("{}: cut short: {} bytes, its header has {}", file, bytes.size(), start + length));

  const Header header(std::string(bytes.begin() + start, bytes.begin() + start + length), file);
  Array array;
  array.file = file;
  array.type = element_of(header.descr, file);
  array.shape = header.shape;
  if (header.fortran && array.shape.size() > 1)
    throw InputError(fmt::format("{}: column-major order, expected row-major: save numpy.ascontiguousarray(x)", file));
  const std::uint64_t size = checked_bytes(file, array.shape, array.type);
  const std::uint64_t rest = bytes.size() - start - length;
  if (rest != size)
    throw InputError(fmt::format("{}: {}: {} bytes of data, its header promises {} ({} of {})", file,
                                 rest < size ? "cut short" : "too long", rest, size, shape_text(array.shape),
                                 element_name(array.type)));
  bytes.erase(bytes.begin(), bytes.begin() + start + length);
  array.bytes = std::move(bytes);
  return array;
}

Array read_npy(const std::string &path) { return parse_npy(read_file(path), path); }

} // namespace cnnc::runtime
