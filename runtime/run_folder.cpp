// Creates, locks and describes the folder of a run.
#include "run_folder.h"

#include "checkpoint.h"
#include "error.h"
#include "file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

namespace cnnc::runtime {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char *info_name = "run.json", *text_name = "model.dsl";

void remove_left_over(const std::string &folder) {
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; it != end; it.increment(ignored)) {
    if (ignored) return;
    if (it->path().filename().string().rfind(temporary_prefix, 0) == 0) fs::remove(it->path(), ignored);
  }
}

void refuse_existing(const std::string &folder) {
  if (file_exists(join(folder, "last.ckpt")) || file_exists(join(folder, "best.ckpt")) || file_exists(join(folder, "metrics.jsonl")))
    throw UsageError(fmt::format("{}: holds a run already; go on with it by --resume, or choose another folder", folder));
  if (file_exists(join(folder, text_name)) && !file_exists(join(folder, info_name)))
    throw UsageError(fmt::format("{}: holds a file {} that is not of a run; choose another folder", folder, text_name));
}

} // namespace

RunInfo read_run(const std::string &folder) {
  const std::string path = join(folder, info_name);
  if (!file_exists(path)) throw SystemError(fmt::format("{}: not the folder of a run: {} is missing", folder, info_name));
  RunInfo info;
  try {
    const json j = json::parse(read_text(path));
    info.model = j.at("model").get<std::string>();
    info.data = j.at("data").get<std::string>();
    info.overrides = j.at("overrides").get<std::map<std::string, std::string>>();
    info.epochs = j.at("epochs").get<std::uint32_t>();
    info.batch = j.at("batch").get<std::uint32_t>();
    info.validation = j.at("validation").get<std::uint32_t>();
    info.seed = j.at("seed").get<std::uint64_t>();
  } catch (const json::exception &e) {
    throw InputError(fmt::format("{}: damaged: {}", path, e.what()));
  }
  if (file_exists(join(folder, text_name))) info.model_text = read_text(join(folder, text_name));
  return info;
}

RunFolder::RunFolder(const std::string &folder, bool create) : folder_(folder) {
  if (folder.empty()) throw UsageError("no folder for the run was given: --output FOLDER");
  if (create) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw SystemError(fmt::format("{}: cannot create the folder: {}", folder, error.message()));
  } else if (!file_exists(folder)) {
    throw SystemError(fmt::format("{}: no such folder", folder));
  } else if (!file_exists(join(folder, info_name))) {
    throw SystemError(fmt::format("{}: not the folder of a run: {} is missing", folder, info_name));
  }
  const std::string lock = join(folder, "lock");
  if (create && !file_exists(lock)) refuse_existing(folder); // leaves nothing in a folder that is not for us
  lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) throw SystemError(fmt::format("{}: cannot open: {}", lock, std::strerror(errno)));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(lock_);
    throw SystemError(error == EWOULDBLOCK ? fmt::format("{}: another run is writing to this folder", folder)
                                           : fmt::format("{}: cannot lock: {}", lock, std::strerror(error)));
  }
  try {
    if (create) refuse_existing(folder);
    remove_left_over(folder);
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunFolder::~RunFolder() { ::close(lock_); }

std::string RunFolder::best() const { return join(folder_, "best.ckpt"); }
std::string RunFolder::last() const { return join(folder_, "last.ckpt"); }
std::string RunFolder::metrics() const { return join(folder_, "metrics.jsonl"); }

void RunFolder::write_info(const RunInfo &info) const {
  nlohmann::ordered_json j;
  j["model"] = info.model;
  j["data"] = info.data;
  j["epochs"] = info.epochs;
  j["batch"] = info.batch;
  j["validation"] = info.validation;
  j["seed"] = info.seed;
  j["overrides"] = info.overrides;
  // run.json first: a model.dsl without it is taken for a file of the user.
  // Paths may hold bytes that are not UTF-8; those are replaced here, the checkpoint keeps them.
  write_file(join(folder_, info_name), j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  if (!info.model_text.empty()) write_file(join(folder_, text_name), info.model_text);
}

} // namespace cnnc::runtime
