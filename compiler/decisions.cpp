// Takes the tuned candidate or the cheapest, and remembers what there was to choose.
#include "decisions.h"

#include <fmt/format.h>

#include "graph/graph.h"

namespace cnnc {

size_t Decisions::take(const std::string &key, std::vector<Candidate> candidates) {
  if (candidates.empty())
    throw GraphError{"no candidate for the decision " + key};
  Decision d;
  d.key = key;
  for (size_t i = 1; i < candidates.size(); i++)
    if (candidates[i].cost < candidates[d.taken].cost - 1e-9) // sums in another order are not another cost
      d.taken = i;
  if (auto it = tuned_.find(key); it != tuned_.end())
    for (size_t i = 0; i < candidates.size(); i++)
      if (candidates[i].label == it->second)
        d.taken = i, d.tuned = true;
  d.candidates = std::move(candidates);
  const size_t taken = d.taken;
  if (by_key_.emplace(key, made_.size()).second)
    made_.push_back(std::move(d));
  return taken;
}

std::string Decisions::text(const std::string &prefix) const {
  std::string s;
  for (const Decision &d : made_) {
    if (d.key.compare(0, prefix.size(), prefix) != 0)
      continue;
    const Candidate &taken = d.candidates[d.taken];
    const Candidate *next = nullptr;
    for (const Candidate &c : d.candidates)
      if (&c != &taken && (!next || c.cost < next->cost))
        next = &c;
    s += fmt::format("{} = {}, cost {:.4g}{}{}\n", d.key, taken.label, taken.cost, d.tuned ? ", tuned" : "",
                     next ? fmt::format("; next {}, {:.4g}", next->label, next->cost) : "");
  }
  return s;
}

} // namespace cnnc
