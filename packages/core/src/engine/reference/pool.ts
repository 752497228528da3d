import { sizeOf } from '../../layout.ts'
import { arithmeticOf, compareNaNLast, lowest, type RoutineMeaning, valuesAs } from './arithmetic.ts'
import type { Num } from './storage.ts'
import { channelsLast, forEachTap } from './window.ts'

export const maxPool: RoutineMeaning<'maxPool'> = (attrs, [x], [y]) => {
  const { batch, spatial, volume, channels } = channelsLast(x!.shape)
  const windows = channelsLast(y!.shape)
  const input = valuesAs(x!, y!.dtype)
  const maxima = new Array<Num>(sizeOf(y!.shape)).fill(lowest(y!.dtype))
  const positions = new Array<number>(maxima.length).fill(-1)
  forEachTap(attrs, windows.spatial, spatial, (window, _tap, position) => {
    for (let n = 0; n < batch; n++) {
      for (let c = 0; c < channels; c++) {
        const value = input[(n * volume + position) * channels + c]!
        const at = (n * windows.volume + window) * channels + c
        if (positions[at]! < 0 || compareNaNLast(value, maxima[at]!) > 0) {
          maxima[at] = value
          positions[at] = position
        }
      }
    }
  })
  return [maxima, positions]
}

export const maxPoolGrad: RoutineMeaning<'maxPoolGrad'> = (_attrs, [gradient, positions], [x]) => {
  const { zero, add } = arithmeticOf(x!.dtype)
  const { volume, channels } = channelsLast(x!.shape)
  const windows = channelsLast(gradient!.shape).volume
  const above = valuesAs(gradient!, x!.dtype)
  const values = new Array<Num>(sizeOf(x!.shape)).fill(zero)
  above.forEach((g, i) => {
    const position = Number(positions!.values[i])
    if (position < 0) return
    const n = Math.floor(i / (windows * channels))
    const at = (n * volume + position) * channels + (i % channels)
    values[at] = add(values[at]!, g)
  })
  return [values]
}

export const fold: RoutineMeaning<'fold'> = (attrs, [x], [y]) => {
  const { zero, add } = arithmeticOf(y!.dtype)
  const { batch, spatial, volume, channels } = channelsLast(y!.shape)
  const windows = x!.shape.slice(1, 1 + attrs.kernel.length)
  const taps = sizeOf(attrs.kernel)
  const input = valuesAs(x!, y!.dtype)
  const values = new Array<Num>(sizeOf(y!.shape)).fill(zero)
  forEachTap(attrs, windows, spatial, (window, tap, position) => {
    for (let n = 0; n < batch; n++) {
      for (let c = 0; c < channels; c++) {
        const at = (n * volume + position) * channels + c
        values[at] = add(values[at]!, input[((n * sizeOf(windows) + window) * taps + tap) * channels + c]!)
      }
    }
  })
  return [values]
}
