import { expect, test } from 'vitest'
import { compile, explain, manualSeed, noGrad, normal, type Tensor } from '../index.ts'
import { MobileNetV2 } from './mobilenet-v2.ts'
import { ResNet, resnet18 } from './resnet.ts'

const small = { classes: 5, width: 8 }

/** With running statistics that are not those of a norm that does nothing. */
function settled(model: ResNet | MobileNetV2): ResNet | MobileNetV2 {
  noGrad(() => model.train().forward(normal([4, 32, 32, 3]) as Tensor))
  return model.eval()
}

test.each([
  ['ResNet', () => resnet18(small), 20 + 1],
  ['MobileNetV2', () => new MobileNetV2({ classes: 5, widthMultiplier: 0.25 }), 52 + 1],
])('%s in use has no batch norms left', (_, make, products) => {
  manualSeed(1)
  const model = settled(make())
  const x = normal([2, 32, 48, 3]) as Tensor
  const forward = (images: Tensor): Tensor => model.forward(images)
  const frozen = compile(forward, { freeze: true })
  const [expected, actual] = noGrad(() => [forward(x), frozen(x)]) as [Tensor, Tensor]
  expect(actual.sub(expected).abs().max().item()).toBeLessThan(1e-4 * expected.abs().max().item())
  const [folded, plain] = noGrad(() => [explain(frozen, x), explain(forward, x)])
  expect(folded.operations.filter(({ name }) => /^(conv|matmul)/.test(name))).toHaveLength(products)
  expect(folded.operations.filter(({ kind, ops }) => kind === 'kernel' && ops.includes('batchNormWith'))).toEqual([])
  // A sum an element is left, where there were a difference, a product and a sum.
  expect(folded.total.flops).toBeLessThan(plain.total.flops)
})

test('blocks may begin as identities', () => {
  const model = new ResNet({ ...small, block: 'bottleneck', depths: [1, 1, 1, 1], zeroInitResidual: true })
  const scales = [...model.namedParameters()].filter(([name]) => name.endsWith('bn3.weight'))
  expect(scales.map(([, scale]) => scale.abs().max().item())).toEqual([0, 0, 0, 0])
})
