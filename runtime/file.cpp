// Whole files, read and written with plain system calls so that every error is seen.
#include "file.h"

#include "error.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cnnc::runtime {
namespace {

[[noreturn]] void fail(const std::string &path, const char *what, int error) {
  throw SystemError(fmt::format("{}: cannot {}: {}", path, what, std::strerror(error)));
}

struct Descriptor {
  int fd;
  explicit Descriptor(int f) : fd(f) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string folder_of(const std::string &path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Writes and closes; returns 0 or errno.
int fill(int fd, const void *data, std::size_t size) {
  const char *at = static_cast<const char *>(data);
  int error = 0;
  while (size > 0 && !error) {
    const ssize_t n = ::write(fd, at, size);
    if (n < 0) {
      if (errno != EINTR) error = errno;
    } else {
      at += n;
      size -= static_cast<std::size_t>(n);
    }
  }
  if (!error && ::fsync(fd) != 0) error = errno;
  if (::close(fd) != 0 && !error && errno != EINTR) error = errno;
  return error;
}

} // namespace

Bytes read_file(const std::string &path, std::uint64_t most) {
  // O_NONBLOCK: a named pipe without a writer is refused below and does not hang here.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd < 0) fail(path, "open", errno);
  struct stat info;
  if (::fstat(file.fd, &info) != 0) fail(path, "read", errno);
  if (S_ISDIR(info.st_mode)) fail(path, "read", EISDIR);
  if (!S_ISREG(info.st_mode)) throw SystemError(fmt::format("{}: not a regular file", path));
  const std::uint64_t size = static_cast<std::uint64_t>(info.st_size);
  if (size > most) throw InputError(fmt::format("{}: {} bytes, more than the {} allowed here", path, size, most));
  Bytes bytes(size);
  std::uint64_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(file.fd, bytes.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, "read", errno);
    if (n == 0) throw SystemError(fmt::format("{}: became shorter while it was read: {} of {} bytes", path, done, size));
    done += static_cast<std::uint64_t>(n);
  }
  return bytes;
}

std::string read_text(const std::string &path, std::uint64_t most) {
  const Bytes bytes = read_file(path, most);
  return std::string(bytes.begin(), bytes.end());
}

void write_file(const std::string &path, const void *data, std::size_t size) {
  static std::atomic<unsigned> serial{0};
  const std::string folder = folder_of(path);
  const std::string temporary = join(folder, fmt::format("{}{}-{}", temporary_prefix, ::getpid(), serial++));
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) fail(path, "write", errno);
  int error = fill(fd, data, size);
  if (!error && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error) {
    ::unlink(temporary.c_str());
    fail(path, "write", error);
  }
  Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a folder, and some folders can be written but not read: no fault of ours.
  if (directory.fd >= 0 && ::fsync(directory.fd) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS)
    fail(path, "write", errno);
}

void write_file(const std::string &path, std::string_view text) { write_file(path, text.data(), text.size()); }

bool file_exists(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

std::string join(const std::string &folder, const std::string &name) {
  if (folder.empty()) return name;
  return folder.back() == '/' ? folder + name : folder + "/" + name;
}

} // namespace cnnc::runtime
