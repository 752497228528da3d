import { inspect } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { ReferenceEngine } from '../engine/reference/engine.ts'
import { currentEngine, registerEngine } from '../engine/registry.ts'
import { setEngine } from '../engines.ts'
import { trace } from '../graph/trace.ts'
import { full, setPrintOptions, tensor, zeros } from '../index.ts'
import { spec } from '../layout.ts'

setEngine('reference')
const defaults = setPrintOptions({})
afterEach(() => void setPrintOptions(defaults))

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

test('floats share one precision and their points are below each other', () => {
  expect(
    String(
      tensor([
        [1, -2.5],
        [100.25, 0.333333],
      ]),
    ),
  ).toMatchInlineSnapshot(`
    "tensor([[  1.0000,  -2.5000],
            [100.2500,   0.3333]])"
  `)
})

test('whole numbers in float tensors end with their point', () => {
  expect(String(tensor([1, 2, -30]))).toMatchInlineSnapshot(`"tensor([  1.,   2., -30.])"`)
  expect(String(tensor([0, -0, 12345678]))).toMatchInlineSnapshot(`"tensor([       0.,       -0., 12345678.])"`)
})

test('scientific notation when the range demands it', () => {
  expect(String(tensor([1e-5, 1, 2.5]))).toMatchInlineSnapshot(`"tensor([1.0000e-05, 1.0000e+00, 2.5000e+00])"`)
  expect(String(tensor([0.5, 1234]))).toMatchInlineSnapshot(`"tensor([5.0000e-01, 1.2340e+03])"`)
  expect(String(tensor([1e9, -1]))).toMatchInlineSnapshot(`"tensor([ 1.0000e+09, -1.0000e+00])"`)
  expect(String(tensor([1e-200, 1e200], { dtype: 'float64' }))).toMatchInlineSnapshot(`"tensor([1.0000e-200, 1.0000e+200], float64)"`)
})

test('nan and infinities take part in the alignment only', () => {
  expect(String(tensor([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.5]))).toMatchInlineSnapshot(
    `"tensor([   nan,    inf,   -inf, 0.5000])"`,
  )
  expect(String(tensor([Number.NaN]))).toMatchInlineSnapshot(`"tensor([nan])"`)
})

test('bool, integers and 16-bit floats', () => {
  expect(String(tensor([[true], [false]]))).toMatchInlineSnapshot(`
    "tensor([[ true],
            [false]], bool)"
  `)
  expect(String(tensor([1, -20], { dtype: 'int8' }))).toMatchInlineSnapshot(`"tensor([  1, -20], int8)"`)
  expect(String(tensor([9223372036854775807n, -1n]))).toMatchInlineSnapshot(`"tensor([9223372036854775807,                  -1], int64)"`)
  expect(String(tensor([0.1, 2], { dtype: 'float16' }))).toMatchInlineSnapshot(`"tensor([0.1000, 2.0000], float16)"`)
  expect(String(tensor([0.1, 2], { dtype: 'bfloat16' }))).toMatchInlineSnapshot(`"tensor([0.1001, 2.0000], bfloat16)"`)
})

test('0-d and empty tensors', () => {
  expect(String(tensor(Math.PI))).toMatchInlineSnapshot(`"tensor(3.1416)"`)
  expect(String(tensor(7n))).toMatchInlineSnapshot(`"tensor(7, int64)"`)
  expect(String(tensor([]))).toMatchInlineSnapshot(`"tensor([], shape [0])"`)
  expect(String(zeros([2, 0, 3], { dtype: 'int32' }))).toMatchInlineSnapshot(`"tensor([], shape [2, 0, 3], int32)"`)
})

test('higher ranks are separated by blank lines', () => {
  expect(String(tensor(range(12), { shape: [2, 2, 3] }))).toMatchInlineSnapshot(`
    "tensor([[[ 0.,  1.,  2.],
             [ 3.,  4.,  5.]],

            [[ 6.,  7.,  8.],
             [ 9., 10., 11.]]])"
  `)
})

test('long rows are broken', () => {
  expect(String(tensor(range(40)))).toMatchInlineSnapshot(`
    "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,
            14., 15., 16., 17., 18., 19., 20., 21., 22., 23., 24., 25., 26., 27.,
            28., 29., 30., 31., 32., 33., 34., 35., 36., 37., 38., 39.])"
  `)
  expect(
    String(
      tensor(
        range(40).map((i) => i / 8),
        { shape: [2, 20] },
      ),
    ),
  ).toMatchInlineSnapshot(`
    "tensor([[0.0000, 0.1250, 0.2500, 0.3750, 0.5000, 0.6250, 0.7500, 0.8750, 1.0000,
             1.1250, 1.2500, 1.3750, 1.5000, 1.6250, 1.7500, 1.8750, 2.0000, 2.1250,
             2.2500, 2.3750],
            [2.5000, 2.6250, 2.7500, 2.8750, 3.0000, 3.1250, 3.2500, 3.3750, 3.5000,
             3.6250, 3.7500, 3.8750, 4.0000, 4.1250, 4.2500, 4.3750, 4.5000, 4.6250,
             4.7500, 4.8750]])"
  `)
})

test('large tensors are summarised', () => {
  expect(String(tensor(range(2000)))).toMatchInlineSnapshot(`"tensor([   0.,    1.,    2., ..., 1997., 1998., 1999.], shape [2000])"`)
  expect(String(tensor(range(2000), { shape: [100, 20], dtype: 'int32' }))).toMatchInlineSnapshot(`
    "tensor([[   0,    1,    2, ...,   17,   18,   19],
            [  20,   21,   22, ...,   37,   38,   39],
            [  40,   41,   42, ...,   57,   58,   59],
            ...,
            [1940, 1941, 1942, ..., 1957, 1958, 1959],
            [1960, 1961, 1962, ..., 1977, 1978, 1979],
            [1980, 1981, 1982, ..., 1997, 1998, 1999]], shape [100, 20], int32)"
  `)
  expect(String(tensor(range(2000), { shape: [4, 10, 50] }))).toMatchInlineSnapshot(`
    "tensor([[[   0.,    1.,    2., ...,   47.,   48.,   49.],
             [  50.,   51.,   52., ...,   97.,   98.,   99.],
             [ 100.,  101.,  102., ...,  147.,  148.,  149.],
             ...,
             [ 350.,  351.,  352., ...,  397.,  398.,  399.],
             [ 400.,  401.,  402., ...,  447.,  448.,  449.],
             [ 450.,  451.,  452., ...,  497.,  498.,  499.]],

            [[ 500.,  501.,  502., ...,  547.,  548.,  549.],
             [ 550.,  551.,  552., ...,  597.,  598.,  599.],
             [ 600.,  601.,  602., ...,  647.,  648.,  649.],
             ...,
             [ 850.,  851.,  852., ...,  897.,  898.,  899.],
             [ 900.,  901.,  902., ...,  947.,  948.,  949.],
             [ 950.,  951.,  952., ...,  997.,  998.,  999.]],

            [[1000., 1001., 1002., ..., 1047., 1048., 1049.],
             [1050., 1051., 1052., ..., 1097., 1098., 1099.],
             [1100., 1101., 1102., ..., 1147., 1148., 1149.],
             ...,
             [1350., 1351., 1352., ..., 1397., 1398., 1399.],
             [1400., 1401., 1402., ..., 1447., 1448., 1449.],
             [1450., 1451., 1452., ..., 1497., 1498., 1499.]],

            [[1500., 1501., 1502., ..., 1547., 1548., 1549.],
             [1550., 1551., 1552., ..., 1597., 1598., 1599.],
             [1600., 1601., 1602., ..., 1647., 1648., 1649.],
             ...,
             [1850., 1851., 1852., ..., 1897., 1898., 1899.],
             [1900., 1901., 1902., ..., 1947., 1948., 1949.],
             [1950., 1951., 1952., ..., 1997., 1998., 1999.]]], shape [4, 10, 50])"
  `)
})

test('a summary reads the corners only', () => {
  const x = full([1, 1], 0.5).expand([100_000, 100_000])
  expect(String(x)).toMatchInlineSnapshot(`
    "tensor([[0.5000, 0.5000, 0.5000, ..., 0.5000, 0.5000, 0.5000],
            [0.5000, 0.5000, 0.5000, ..., 0.5000, 0.5000, 0.5000],
            [0.5000, 0.5000, 0.5000, ..., 0.5000, 0.5000, 0.5000],
            ...,
            [0.5000, 0.5000, 0.5000, ..., 0.5000, 0.5000, 0.5000],
            [0.5000, 0.5000, 0.5000, ..., 0.5000, 0.5000, 0.5000],
            [0.5000, 0.5000, 0.5000, ..., 0.5000, 0.5000, 0.5000]],
           shape [100000, 100000])"
  `)
})

test('views print as they read', () => {
  const x = tensor(range(6), { shape: [2, 3] })
  expect(String(x.permute([1, 0]))).toMatchInlineSnapshot(`
    "tensor([[0., 3.],
            [1., 4.],
            [2., 5.]])"
  `)
  expect(String(x.slice('::-1', '1:'))).toMatchInlineSnapshot(`
    "tensor([[4., 5.],
            [1., 2.]])"
  `)
})

test('gradients are mentioned', () => {
  const x = tensor([1, 2], { requiresGrad: true })
  expect(String(x)).toMatchInlineSnapshot(`"tensor([1., 2.], requiresGrad)"`)
  expect(String(x.exp())).toMatchInlineSnapshot(`"tensor([2.7183, 7.3891], gradient of exp)"`)
})

test('a suffix that does not fit goes to its own line', () => {
  expect(
    String(
      tensor(
        range(17).map((i) => i + 10),
        { dtype: 'int32' },
      ),
    ),
  ).toMatchInlineSnapshot(`
    "tensor([10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26],
           int32)"
  `)
})

test('console.log shows values, also inside objects', () => {
  expect(inspect({ w: tensor([1, 2]) })).toMatchInlineSnapshot(`"{ w: tensor([1., 2.]) }"`)
})

test('released tensors and tracers have no values', () => {
  const x = tensor([1, 2])
  x.dispose()
  expect(String(x)).toMatchInlineSnapshot(`"tensor(released, shape [2], float32)"`)
  let text = ''
  trace((t) => ((text = String(t)), t), [{ spec: spec('float32', [2, 3]), requiresGrad: false }])
  expect(text).toMatchInlineSnapshot(`"tracer([2,3], float32)"`)
})

test('printing a constant while tracing does not trace the printing', () => {
  const x = tensor(range(2000), { shape: [2, 1000] })
  const { graph } = trace((t) => (String(x), t.neg()), [{ spec: spec('float32', [2]), requiresGrad: false }])
  expect(graph.nodes.map((n) => n.op!.name)).toEqual(['neg'])
})

test('printing leaves no memory behind', () => {
  const x = tensor(range(4000), { shape: [40, 100] }).permute([1, 0])
  const before = x.engine.memoryUse().inUse
  String(x)
  expect(x.engine.memoryUse().inUse).toBe(before)
})

test('an asynchronous engine says how to read', () => {
  class Distant extends ReferenceEngine {
    override readonly name = 'distant' as never
    override readonly synchronous = false as never
  }
  const before = currentEngine().name
  registerEngine('distant', () => new Distant())
  setEngine('distant')
  try {
    expect(String(tensor([1, 2]))).toMatchInlineSnapshot(`"tensor([...], shape [2], float32, on distant: await t.data() to read)"`)
  } finally {
    setEngine(before)
  }
})

test('options are set, checked and set back', () => {
  const x = tensor([1 / 3, 2, 3, 4, 5])
  const before = setPrintOptions({ precision: 2, threshold: 4, edgeItems: 1 })
  expect(String(x)).toMatchInlineSnapshot(`"tensor([0.33, ..., 5.00], shape [5])"`)
  setPrintOptions({ precision: 0, threshold: Number.POSITIVE_INFINITY, lineWidth: 20 })
  expect(String(x)).toMatchInlineSnapshot(`
    "tensor([0., 2., 3.,
            4., 5.])"
  `)
  setPrintOptions(before)
  expect(String(x)).toMatchInlineSnapshot(`"tensor([0.3333, 2.0000, 3.0000, 4.0000, 5.0000])"`)
  expect(() => setPrintOptions({ precision: -1 })).toThrow('setPrintOptions: precision is -1. Give an integer of at least 0.')
  expect(() => setPrintOptions({ edgeItems: 1.5 })).toThrow('edgeItems is 1.5')
})
