// The folder of a run: model.dsl, run.json, best.ckpt, last.ckpt, metrics.jsonl, and the lock of a running one.
#ifndef CNNC_RUNTIME_RUN_FOLDER_H
#define CNNC_RUNTIME_RUN_FOLDER_H

#include <cstdint>
#include <map>
#include <string>

namespace cnnc::runtime {

// What run.json holds: enough for another command to compile the same model and find its data.
struct RunInfo {
  std::string model;                            // name
  std::string model_text;                       // model.dsl; empty if the run was started without one
  std::string data;                             // the data option
  std::map<std::string, std::string> overrides; // what the command line changed of the model: optimizer, batch, ...
  std::uint32_t epochs = 0, batch = 0, validation = 0;
  std::uint64_t seed = 0;
};

RunInfo read_run(const std::string &folder); // throws SystemError, InputError

// An open folder, locked against a second run until it is destroyed.
class RunFolder {
public:
  // Makes the folder when `create`, locks it, and removes left-over temporary files. Throws SystemError when
  // another run writes there or the folder is missing, UsageError when `create` and a run is there already.
  RunFolder(const std::string &folder, bool create);
  ~RunFolder();
  RunFolder(const RunFolder &) = delete;
  RunFolder &operator=(const RunFolder &) = delete;

  const std::string &path() const { return folder_; }
  std::string best() const;
  std::string last() const;
  std::string metrics() const;
  void write_info(const RunInfo &info) const; // model.dsl and run.json

private:
  std::string folder_;
  int lock_ = -1;
};

} // namespace cnnc::runtime
#endif
