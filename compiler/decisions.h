// Choices that passes and schedules make by the model of costs, each under a key that a tuning file can name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cnnc {

struct Candidate {
  std::string label; // "4x6": what a tuning file calls it
  double cost;       // by the model; compared within one decision only
};

struct Decision {
  std::string key;
  std::vector<Candidate> candidates;
  size_t taken = 0;
  bool tuned = false; // it is what the tuning file names, and not what costs least
};

class Decisions {
public:
  Decisions() = default;
  // Labels by key; a key that nothing asks for and a label that is no candidate's are ignored.
  explicit Decisions(std::map<std::string, std::string> tuned) : tuned_(std::move(tuned)) {}
  // The candidate that the tuning file names, or else the first of least cost. A key has one set of candidates,
  // whoever asks; `candidates` has at least one.
  size_t take(const std::string &key, std::vector<Candidate> candidates);
  bool additions_beside = false, wide_loads = false;          // of the machine: as MachineTarget says
  int accumulators = 26;                                      // of a register tile, as MachineTarget says
  int64_t l2_vectors = 8192;                                  // that its second-level cache holds
  const std::vector<Decision> &made() const { return made_; } // in the order in which they were taken
  // A line for each decision whose key starts with `prefix`: what was taken, and what comes next by its cost.
  std::string text(const std::string &prefix) const;

private:
  std::map<std::string, std::string> tuned_;
  std::vector<Decision> made_;
  std::map<std::string, size_t> by_key_;
};

} // namespace cnnc
