// The cache of compiled libraries: one file an entry, whole or not there.
#include "library.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <link.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "version.h"

namespace cnnc {

namespace {
namespace fs = std::filesystem;

// An entry: magic, checksum of the rest, and the rest as numbers of 8 bytes and texts with their length before them.
constexpr char kMagic[] = "cnnc library 1\n";
constexpr const char *kTemporary = "temporary-";
constexpr size_t kNumber = sizeof(uint64_t);

class Writer {
public:
  std::string bytes;
  void number(uint64_t n) { bytes.append(reinterpret_cast<const char *>(&n), kNumber); }
  void text(const std::string &s) {
    number(s.size());
    bytes += s;
  }
};

// Reads nothing that is not there: `ok` turns false.
class Reader {
public:
  bool ok = true;
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  uint64_t number() {
    uint64_t n = 0;
    if (const std::string_view s = take(kNumber); ok)
      std::memcpy(&n, s.data(), kNumber);
    return n;
  }
  std::string text() { return std::string(take(number())); }
  bool done() const { return ok && left_.empty(); }

private:
  std::string_view take(uint64_t size) {
    ok = ok && size <= left_.size();
    if (!ok)
      return {};
    const std::string_view s = left_.substr(0, size);
    left_.remove_prefix(size);
    return s;
  }
  std::string_view left_;
};

std::string written(const std::string &key, const Library &l) {
  Writer w;
  w.text(key);
  for (const std::string *s : {&l.name, &l.target, &l.header, &l.object})
    w.text(*s);
  w.number(l.trains);
  w.number(uint64_t(l.lanes));
  w.number(l.calls.size());
  for (const CallInfo &c : l.calls) {
    for (const std::string *s : {&c.routine, &c.kernel, &c.what, &c.result, &c.decisions})
      w.text(*s);
    for (int64_t n : {c.macs, c.bytes, c.chunks, int64_t(c.place.region), c.place.offset})
      w.number(uint64_t(n));
  }
  const uint64_t sum = fnv1a(w.bytes);
  return kMagic + std::string(reinterpret_cast<const char *>(&sum), kNumber) + w.bytes;
}

std::optional<Library> read(const std::string &key, std::string_view bytes) {
  const size_t start = sizeof kMagic - 1 + kNumber;
  uint64_t sum = 0;
  if (bytes.size() < start || bytes.compare(0, sizeof kMagic - 1, kMagic) != 0)
    return {};
  std::memcpy(&sum, bytes.data() + sizeof kMagic - 1, kNumber);
  bytes.remove_prefix(start);
  if (fnv1a(bytes) != sum)
    return {};
  Reader r(bytes);
  if (r.text() != key) // two keys of one hash
    return {};
  Library l;
  for (std::string *s : {&l.name, &l.target, &l.header, &l.object})
    *s = r.text();
  l.trains = r.number() != 0;
  l.lanes = int(r.number());
  for (uint64_t n = r.number(); n > 0 && r.ok; n--) {
    CallInfo c;
    for (std::string *s : {&c.routine, &c.kernel, &c.what, &c.result, &c.decisions})
      *s = r.text();
    for (int64_t *i : {&c.macs, &c.bytes, &c.chunks})
      *i = int64_t(r.number());
    c.place.region = Region(r.number());
    c.place.offset = int64_t(r.number());
    l.calls.push_back(std::move(c));
  }
  l.cached = true;
  if (!r.done())
    return {};
  return l;
}

// The build identifiers of this program and of every library that it has loaded, which their bytes determine; where a
// linker gave none, the path, size and time of the file.
std::string compiler_identity() {
  std::string identity = CNNC_VERSION;
  dl_iterate_phdr(
      [](dl_phdr_info *object, size_t, void *data) {
        std::string &to = *static_cast<std::string *>(data);
        bool found = false;
        for (int i = 0; i < object->dlpi_phnum; i++) {
          const auto &segment = object->dlpi_phdr[i];
          if (segment.p_type != PT_NOTE)
            continue;
          // NOLINTNEXTLINE(performance-no-int-to-ptr): the dynamic linker gives addresses as numbers
          const char *at = reinterpret_cast<const char *>(object->dlpi_addr + segment.p_vaddr), *end = at + segment.p_memsz;
          while (at + sizeof(ElfW(Nhdr)) <= end) {
            const auto *note = reinterpret_cast<const ElfW(Nhdr) *>(at);
            const char *name = at + sizeof *note, *content = name + (note->n_namesz + 3) / 4 * 4;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
              to += fmt::format(" {:016x}", fnv1a(std::string_view(content, note->n_descsz)));
              found = true;
            }
            at = content + (note->n_descsz + 3) / 4 * 4;
          }
        }
        const std::string file = *object->dlpi_name ? object->dlpi_name : "/proc/self/exe";
        struct stat info;
        if (!found && ::stat(file.c_str(), &info) == 0)
          to += fmt::format(" {} {} {}.{}", file, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
        return 0;
      },
      &identity);
  return identity;
}

std::string key_of(const Graph &graph, const CompileOptions &o) {
  Writer w;
  w.text(compiler_identity());
  w.text(print(graph));
  for (const std::string &s : {target_list(o.target), target_traits(o.target), o.target, o.stop_at, o.command, o.conv})
    w.text(s);
  w.number(o.f64);
  w.number(o.instrument);
  for (const auto &[target, labels] : o.tuned)
    for (const auto &[decision, label] : labels)
      w.text(target), w.text(decision), w.text(label);
  return w.bytes;
}

// Empty where there is none.
std::string folder() {
  const char *base = std::getenv("XDG_CACHE_HOME");
  if (base && *base == '/') // the convention: another path is not to be used
    return std::string(base) + "/cnnc";
  const char *home = std::getenv("HOME");
  return home && *home == '/' ? std::string(home) + "/.cache/cnnc" : "";
}

std::optional<Library> load(const std::string &file, const std::string &key) {
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return {};
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::optional<Library> l = read(key, bytes);
  if (l)
    ::utimensat(AT_FDCWD, file.c_str(), nullptr, 0); // used now
  return l;
}

// Removes the entries that were not used for longest until the rest fits, and what interrupted compilers left.
void make_room(const std::string &folder) {
  struct Entry {
    fs::path path;
    uint64_t size;
    fs::file_time_type used;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone; // another compiler may have removed it
    const uint64_t size = at->file_size(gone);
    const auto used = at->last_write_time(gone);
    if (gone)
      continue;
    if (at->path().filename().string().rfind(kTemporary, 0) == 0) {
      if (fs::file_time_type::clock::now() - used > std::chrono::hours(1))
        fs::remove(at->path(), gone);
      continue;
    }
    entries.push_back({at->path(), size, used});
    total += size;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) { return a.used < b.used; });
  for (const Entry &e : entries) {
    if (total <= cache_bytes())
      break;
    fs::remove(e.path, error);
    total -= e.size;
  }
}

// Written beside its place and renamed: readers see the old entry, or all of the new one.
void store(const std::string &folder, const std::string &file, const std::string &bytes) {
  if (bytes.size() > cache_bytes())
    return;
  std::error_code error;
  fs::create_directories(folder, error);
  std::string temporary = fmt::format("{}/{}XXXXXX", folder, kTemporary);
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0)
    return;
  size_t at = 0;
  for (ssize_t n = 1; at < bytes.size() && n > 0; at += size_t(std::max<ssize_t>(n, 0)))
    n = ::write(fd, bytes.data() + at, bytes.size() - at);
  const bool whole = ::close(fd) == 0 && at == bytes.size();
  if (!whole || ::rename(temporary.c_str(), file.c_str()) != 0)
    ::unlink(temporary.c_str());
  make_room(folder);
}
} // namespace

uint64_t cache_bytes() {
  const char *megabytes = std::getenv("CNNC_CACHE_MB");
  const long n = megabytes ? std::strtol(megabytes, nullptr, 10) : 256;
  return uint64_t(std::max(n, 0l)) << 20;
}

Library compile_library(const Graph &graph, const CompileOptions &options, bool use_cache) {
  const auto start = std::chrono::steady_clock::now();
  const std::string in = use_cache ? folder() : "";
  std::string key, file;
  if (!in.empty()) {
    key = key_of(graph, options);
    file = fmt::format("{}/{:016x}", in, fnv1a(key));
    if (std::optional<Library> known = load(file, key)) {
      known->times = {{"from the cache", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()}};
      return std::move(*known);
    }
  }
  Compiled c = compile(graph, options);
  Library l;
  l.name = c.info.name;
  l.target = c.info.target;
  l.header = std::move(c.text.at("header"));
  l.object = std::move(c.text.at("obj"));
  l.trains = c.info.trains;
  l.lanes = c.info.lanes;
  l.calls = std::move(c.calls);
  l.times = std::move(c.times);
  if (!in.empty())
    store(in, file, written(key, l));
  return l;
}

} // namespace cnnc
