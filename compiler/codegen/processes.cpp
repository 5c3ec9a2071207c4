// A pool of forked children, each with a pipe for its result.
#include "codegen/processes.h"

#include <cerrno>
#include <csignal>
#include <exception>
#include <fmt/format.h>
#include <new>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/graph.h"

namespace cnnc {

namespace {
constexpr char kDone = '+', kFailed = '-'; // the first byte says how it went; kDone is also the last one

struct Child {
  pid_t pid;
  int from;
  size_t part;
  std::string said;
};

bool write_all(int fd, const std::string &text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    at += size_t(n);
  }
  return true;
}

[[noreturn]] void run_child(int to, size_t part, const std::function<std::string(size_t)> &work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL); // it does not outlive the compiler
  std::string result;
  try {
    result = kDone + work(part) + kDone;
  } catch (const GraphError &e) {
    result = kFailed + e.message;
  } catch (const std::exception &e) {
    result = kFailed + std::string(e.what());
  }
  ::_exit(write_all(to, result) ? 0 : 1);
}

// Ends what still runs where an exception passes.
class Pool {
public:
  ~Pool() {
    for (Child &c : running_) {
      ::kill(c.pid, SIGKILL);
      finish(c);
    }
  }
  size_t size() const { return running_.size(); }

  void start(size_t part, const std::function<std::string(size_t)> &work) {
    int ends[2];
    if (::pipe(ends) != 0)
      throw std::bad_alloc();
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::close(ends[0]);
      run_child(ends[1], part, work);
    }
    ::close(ends[1]);
    if (pid < 0) {
      ::close(ends[0]);
      throw std::bad_alloc();
    }
    running_.push_back({pid, ends[0], part, ""});
  }

  // Waits until something is said; moves the results of those that are done.
  void wait(std::vector<std::string> &results) {
    std::vector<pollfd> fds;
    for (const Child &c : running_)
      fds.push_back({c.from, POLLIN, 0});
    if (::poll(fds.data(), nfds_t(fds.size()), -1) < 0)
      return; // interrupted
    for (size_t i = running_.size(); i-- > 0;) {
      if (!fds[i].revents)
        continue;
      char bytes[1 << 16];
      const ssize_t n = ::read(running_[i].from, bytes, sizeof bytes);
      if (n > 0)
        running_[i].said.append(bytes, size_t(n));
      if (n > 0 || (n < 0 && errno == EINTR))
        continue;
      Child c = std::move(running_[i]);
      running_.erase(running_.begin() + std::ptrdiff_t(i));
      const int status = finish(c);
      if (!c.said.empty() && c.said[0] == kFailed)
        throw GraphError{c.said.substr(1)};
      if (c.said.size() < 2 || c.said.back() != kDone)
        throw GraphError{WIFSIGNALED(status) ? fmt::format("a compiling process was ended by signal {}", WTERMSIG(status))
                                             : fmt::format("a compiling process ended with code {}", WEXITSTATUS(status))};
      results[c.part] = c.said.substr(1, c.said.size() - 2);
    }
  }

private:
  static int finish(const Child &c) {
    ::close(c.from);
    int status = 0;
    while (::waitpid(c.pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }
  std::vector<Child> running_;
};
} // namespace

std::vector<std::string> in_processes(size_t parts, int jobs, const std::function<std::string(size_t)> &work) {
  if (parts == 1)
    return {work(0)};
  std::vector<std::string> results(parts);
  Pool pool;
  for (size_t next = 0; next < parts || pool.size();) {
    while (next < parts && pool.size() < size_t(jobs > 1 ? jobs : 1))
      pool.start(next++, work);
    pool.wait(results);
  }
  return results;
}

} // namespace cnnc
