// The list of passes.
#include "passes/passes.h"

#include "passes/differentiate.h"

namespace cnnc {
const std::vector<Pass> &passes() {
  auto decides_nothing = [](void (*pass)(Graph &)) { return [pass](Graph &g, Decisions &, int) { pass(g); }; };
  auto decides = [](void (*pass)(Graph &, Decisions &)) { return [pass](Graph &g, Decisions &d, int) { pass(g, d); }; };
  static const std::vector<Pass> all = {{"store-border", decides_nothing(store_border)},
                                        {"differentiate", decides_nothing(differentiate)},
                                        {"remove-dead", decides_nothing(remove_dead)},
                                        {"choose-algorithm", decides(choose_algorithm)},
                                        {"use-fast-convolution", decides(use_fast_convolution)},
                                        {"choose-layout", choose_layout},
                                        {"lay-out-single", lay_out_single},
                                        {"fuse", decides(fuse)}};
  return all;
}
} // namespace cnnc
