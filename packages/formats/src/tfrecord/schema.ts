import { mapOf, many, Message, one } from '../protobuf/message.ts'

/** TensorFlow's feature.proto and example.proto. */
export const Feature = new Message('Feature', {
  bytesList: one(1, new Message('BytesList', { value: many(1, 'bytes') })),
  floatList: one(2, new Message('FloatList', { value: many(1, 'float') })),
  int64List: one(3, new Message('Int64List', { value: many(1, 'int64') })),
})

const Features = new Message('Features', { feature: mapOf(1, Feature) })

export const Example = new Message('Example', { features: one(1, Features) })
