// The list of passes.
#include "passes/passes.h"

#include "passes/differentiate.h"

namespace cnnc {
const std::vector<Pass> &passes() {
  static const std::vector<Pass> all = {
      {"differentiate", differentiate}, {"remove-dead", remove_dead}, {"choose-algorithm", choose_algorithm}, {"use-fast-convolution", use_fast_convolution}, {"choose-layout", choose_layout}, {"fuse", fuse}};
  return all;
}
} // namespace cnnc
