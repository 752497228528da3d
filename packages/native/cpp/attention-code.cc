// The code of attention for each instruction set of this architecture.
#include <utility>

#include "attention-tiles.h"
#include "vector-headers.h"

namespace cotangent::attention {

using Code = AttentionCode;
#define COTANGENT_CODE "attention-code.h"
#include "each-instruction-set.h"

const AttentionCode *fastestCode(bool widest) { return fastestOf(widest); }

} // namespace cotangent::attention
