// metrics.jsonl: one JSON object an epoch.
#ifndef CNNC_RUNTIME_METRICS_H
#define CNNC_RUNTIME_METRICS_H

#include "trainer.h"

namespace cnnc::runtime {

std::string metrics_line(const EpochMetrics &metrics);                        // without a newline
EpochMetrics parse_metrics(const std::string &line, const std::string &file); // throws InputError

// The lines of epochs 1..`epochs`; later ones and an unfinished last line are left out. Throws InputError when
// an earlier one is missing.
std::vector<EpochMetrics> read_metrics(const std::string &path, std::uint32_t epochs);
void write_metrics(const std::string &path, const std::vector<EpochMetrics> &history); // whole

} // namespace cnnc::runtime
#endif
