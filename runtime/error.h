// The errors of the runtime, each with the exit code that a command ends with.
#ifndef CNNC_RUNTIME_ERROR_H
#define CNNC_RUNTIME_ERROR_H

#include <stdexcept>
#include <string>

namespace cnnc::runtime {

struct Error : std::runtime_error {
  Error(const std::string &message, int code) : std::runtime_error(message), exit_code(code) {}
  int exit_code;
};

// Data or a model that cannot be used: the message says where and why.
struct InputError : Error {
  explicit InputError(const std::string &message) : Error(message, 1) {}
};

// An option that does not fit the model, the data or the run's folder.
struct UsageError : Error {
  explicit UsageError(const std::string &message) : Error(message, 2) {}
};

// A file missing, a full disk, no memory, no threads.
struct SystemError : Error {
  explicit SystemError(const std::string &message) : Error(message, 3) {}
};

// SIGINT, SIGTERM or SIGHUP: the work so far is saved.
struct Interrupted : Error {
  explicit Interrupted(const std::string &message) : Error(message, 130) {}
};

} // namespace cnnc::runtime
#endif
