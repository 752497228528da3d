import { noGrad, optim, type Tensor } from 'cotangent'
import { testGolden } from './load.ts'

type Class = new (params: readonly unknown[], options: object) => optim.Optimizer

const steps = 20
const shown = [1, 2, 8, 20]

function train(name: string, params: readonly Tensor[], gradients: readonly (readonly Tensor[])[], options: object, groups: readonly object[] | null) {
  const optimizer = new (optim as unknown as Record<string, Class>)[name]!(groups?.map((own, i) => ({ params: params[i]!, ...own })) ?? params, options)
  const seen: Tensor[][] = []
  for (let step = 1; step <= steps; step++) {
    params.forEach((p, i) => {
      p.grad = gradients[i]![step % gradients[i]!.length]!
    })
    optimizer.step()
    if (shown.includes(step)) seen.push(params.map((p) => p.detach().clone()))
  }
  return seen
}

const parametersOf = (gradients: readonly Tensor[]) =>
  gradients.map((grad) => {
    const param = noGrad(() => grad.clone()).setRequiresGrad()
    param.grad = grad
    return param
  })

testGolden('optim', ({ name }) => {
  if (name === 'clipGradNorm') {
    return (gradients: Tensor[], limit: number, options: optim.ClipNormOptions) => {
      const params = parametersOf(gradients)
      const total = optim.clipGradNorm(params, limit, options)
      return [total, params.map((p) => p.grad)] as never
    }
  }
  if (name === 'clipGradValue') {
    return (gradients: Tensor[], limit: number) => {
      const params = parametersOf(gradients)
      optim.clipGradValue(params, limit)
      return params.map((p) => p.grad)
    }
  }
  return (params: Tensor[], gradients: Tensor[][], options: object, groups: object[] | null) => train(name, params, gradients, options, groups)
})
