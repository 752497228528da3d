// The code of products with few rows for each instruction set of this architecture.
#include "few-rows-tiles.h"
#include "vector-headers.h"

namespace cotangent::fewRows {

#define COTANGENT_CODE "few-rows-code.h"
#include "each-instruction-set.h"

const Code *fastestCode() { return fastestOf(true); }

} // namespace cotangent::fewRows
