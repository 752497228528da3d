/** What the workers of the `data` suite run: files to a batch of augmented pictures. */
import { register } from 'node:module'
import { decodeImage } from '@cotangent/formats/image'
import { stack, type Tensor } from 'cotangent'
import * as data from 'cotangent/data'
import * as vision from 'cotangent/vision'

// What decodes pictures is installed here, not where the package that needs it lies.
const here = JSON.stringify(import.meta.url)
const hook = `export const resolve = (name, context, next) =>
  next(name, /^(sharp|@julusian.jpeg-turbo)$/.test(name) ? { ...context, parentURL: ${here} } : context)`
register(`data:text/javascript,${encodeURIComponent(hook)}`)

const size = 224
const crop = vision.randomResizedCrop(size)
const augment = vision.compose(
  vision.randomHorizontalFlip(),
  vision.colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4 }),
  (images) => vision.normalize(images),
)

export const photoBatch = data.inWorker(async (paths: readonly string[], source: data.ElementContext): Promise<Tensor> => {
  const pictures: Tensor[] = []
  for (const path of paths) pictures.push(await decodeImage(path, { fast: true }))
  const parts = pictures.map((picture) => crop(picture, source))
  const batch = augment(stack(parts, 0), source)
  for (const tensor of [...pictures, ...parts]) tensor.dispose()
  return batch
})
