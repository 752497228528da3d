// The code of convolutions for each instruction set of this architecture.
#include "convolution-tiles.h"
#include "vector-headers.h"

namespace cotangent::convolution {

#define COTANGENT_CODE "convolution-code.h"
#include "each-instruction-set.h"

const Code *fastestCode(bool widest) { return fastestOf(widest); }

} // namespace cotangent::convolution
