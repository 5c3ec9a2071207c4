// The list of passes.
#include "passes/passes.h"

#include "passes/differentiate.h"

namespace cnnc {
const std::vector<Pass> &passes() {
  auto decides_nothing = [](void (*pass)(Graph &)) { return [pass](Graph &g, Decisions &) { pass(g); }; };
  static const std::vector<Pass> all = {{"differentiate", decides_nothing(differentiate)},
                                        {"remove-dead", decides_nothing(remove_dead)},
                                        {"choose-algorithm", choose_algorithm},
                                        {"use-fast-convolution", use_fast_convolution},
                                        {"choose-layout", decides_nothing(choose_layout)},
                                        {"fuse", decides_nothing(fuse)}};
  return all;
}
} // namespace cnnc
