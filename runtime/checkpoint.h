// The file that a run goes on from: the net's state, the place in the run, and the options that decide its bits.
#ifndef CNNC_RUNTIME_CHECKPOINT_H
#define CNNC_RUNTIME_CHECKPOINT_H

#include "file.h"

#include <cstdint>
#include <string>

namespace cnnc::runtime {

// The state of the random numbers is (seed, epoch), so nothing more of it is kept.
struct Checkpoint {
  std::string model;             // name
  std::uint64_t fingerprint = 0; // of the model
  Bytes net;                     // what the model's `save` gave

  std::uint32_t epoch = 0; // epochs done
  std::uint64_t step = 0;  // steps done in the epoch under way
  double loss_sum = 0;     // of the epoch under way, over its examples
  std::uint64_t correct = 0, seen = 0;
  double seconds = 0; // spent in the epoch under way

  std::uint32_t best_epoch = 0; // from 1; 0: none yet
  double best_loss = 0;

  std::uint32_t epochs = 0, batch = 0;
  std::uint64_t seed = 0;
  std::uint32_t examples = 0, validation = 0; // of the training part, and how many of them validate
  std::uint32_t data_crc = 0;
  std::string data; // the data option
};

// Format, little-endian: "CNNCCKPT", version u32, size of the file u64, the fields, CRC-32 of all before it.
Bytes encode_checkpoint(const Checkpoint &checkpoint);

// Throws InputError with `file` for anything that is not a whole checkpoint of this version.
Checkpoint decode_checkpoint(const Bytes &bytes, const std::string &file);

void write_checkpoint(const std::string &path, const Checkpoint &checkpoint); // whole; throws SystemError
Checkpoint read_checkpoint(const std::string &path);                          // throws SystemError, InputError

} // namespace cnnc::runtime
#endif
