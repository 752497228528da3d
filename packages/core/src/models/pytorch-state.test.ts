import { describe, expect, test } from 'vitest'
import { nn, type Tensor, tensor } from '../index.ts'
import { Bert, BertForMaskedLM } from './bert.ts'
import { Gpt2 } from './gpt2.ts'
import { loadPyTorchState, pytorchState } from './pytorch-state.ts'

const shapesOf = (model: nn.Module): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(pytorchState(model)).map(([name, value]) => [name, value.shape]))

describe('pytorchState', () => {
  test('has the names and layouts of PyTorch for layers of all kinds', () => {
    class All extends nn.Module {
      readonly conv = new nn.Conv2d(2, 6, [3, 5], { groups: 2 })
      readonly up = new nn.ConvTranspose1d(3, 4, 2)
      readonly batchNorm = new nn.BatchNorm2d(6, { momentum: null })
      readonly rnn = new nn.LSTM(3, 5, { layers: 2, bidirectional: true })
      readonly attention = new nn.MultiheadAttention(4, 2)
      readonly other = new nn.MultiheadAttention(4, 2, { kdim: 3, vdim: 7 })
      readonly decoderLayer = new nn.TransformerDecoderLayer(4, 2, { feedForward: 8 })
      readonly bilinear = new nn.Bilinear(2, 3, 4)
      readonly words = [new nn.Embedding(9, 4)]
      forward(): void {}
    }
    expect(shapesOf(new All())).toMatchObject({
      'conv.weight': [6, 1, 3, 5],
      'up.weight': [3, 4, 2],
      'batch_norm.running_mean': [6],
      'batch_norm.num_batches_tracked': [],
      'rnn.weight_ih_l0': [20, 3],
      'rnn.weight_ih_l1': [20, 10],
      'rnn.weight_hh_l1_reverse': [20, 5],
      'rnn.bias_hh_l0_reverse': [20],
      'attention.in_proj_weight': [12, 4],
      'attention.out_proj.weight': [4, 4],
      'other.k_proj_weight': [4, 3],
      'other.v_proj_weight': [4, 7],
      'decoder_layer.self_attn.in_proj_bias': [12],
      'decoder_layer.multihead_attn.in_proj_weight': [12, 4],
      'decoder_layer.linear1.weight': [8, 4],
      'bilinear.weight': [4, 2, 3],
      'words.0.weight': [9, 4],
    })
  })

  test('loaded again gives the same model', () => {
    const [from, to] = [0, 1].map(() => new nn.Sequential(new nn.Conv2d(2, 3, 2), new nn.BatchNorm2d(3), new nn.Linear(3, 4))) as [
      nn.Sequential,
      nn.Sequential,
    ]
    loadPyTorchState(to, pytorchState(from))
    for (const [name, value] of Object.entries(from.stateDict())) expect(to.stateDict()[name]!.dataSync()).toEqual(value.dataSync())
  })
})

describe('loadPyTorchState', () => {
  const text = { vocabulary: 7, positions: 4, width: 4, layers: 1, heads: 2 }

  test('takes checkpoints with a head, old names and what follows from other entries', () => {
    const bert = new Bert(text)
    const state = Object.entries(pytorchState(new Bert(text))).map(([name, value]): [string, Tensor] => [
      `bert.${name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}`,
      value,
    ])
    const extra: [string, Tensor] = ['cls.seq_relationship.weight', tensor([[1]])]
    expect(loadPyTorchState(bert, [...state, extra])).toEqual({ missing: [], unexpected: [] })
    expect(bert.embeddings.wordEmbeddings.weight.dataSync()).toEqual(state[0]![1].dataSync())

    const masked = new BertForMaskedLM(text)
    const own = Object.entries(pytorchState(masked))
    expect(loadPyTorchState(masked, [...own, ['cls.predictions.decoder.bias', tensor([1])], extra]).unexpected).toEqual([])

    const gpt2 = new Gpt2(text)
    const masks: [string, Tensor][] = [
      ['h.0.attn.bias', tensor([1])],
      ['lm_head.weight', tensor([1])],
    ]
    expect(loadPyTorchState(gpt2, [...Object.entries(pytorchState(gpt2)), ...masks]).unexpected).toEqual([])
    expect(shapesOf(gpt2)).toMatchObject({ 'h.0.attn.c_attn.weight': [4, 12], 'h.0.ln_1.weight': [4], 'ln_f.bias': [4] })
  })

  test('counts of batches are for those who need them', () => {
    const norm = new nn.Sequential(new nn.BatchNorm1d(2))
    const state = { ...pytorchState(norm), '0.num_batches_tracked': tensor(3) as Tensor }
    expect(loadPyTorchState(norm, state).unexpected).toEqual([])
  })

  test('says what does not fit, and loads nothing', () => {
    const model = new nn.Sequential(new nn.Linear(2, 3))
    const before = [...(model.stateDict()['0.weight'] as Tensor).dataSync()]
    const state = { '0.weight': tensor([[1, 2, 3]]) as Tensor, '1.weight': tensor([1]) as Tensor }
    expect(() => loadPyTorchState(model, state)).toThrow(
      /0\.bias is missing\n.*1\.weight is not part of the module\n.*0\.weight has shape \[3, 1\]/,
    )
    expect([...(model.stateDict()['0.weight'] as Tensor).dataSync()]).toEqual(before)
    const fitting = {
      '0.weight': tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]) as Tensor,
      more: tensor([1]) as Tensor,
    }
    expect(loadPyTorchState(model, fitting, { strict: false })).toEqual({ missing: ['0.bias'], unexpected: ['more'] })
    expect((model.stateDict()['0.weight'] as Tensor).toArray()).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ])
  })
})
