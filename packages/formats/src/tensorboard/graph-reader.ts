import type { MessageOf } from '../protobuf/message.ts'
import type { GraphNodeRecord } from './event.ts'
import { GraphDef } from './schema.ts'

type Attribute = MessageOf<typeof GraphDef>['node'][number]['attr'] extends Map<string, infer A> ? A : never

/** The nodes of a serialised GraphDef. */
export function readGraph(bytes: Uint8Array): GraphNodeRecord[] {
  return GraphDef.decode(bytes).node.map(({ name = '', op = '', input, device = '', attr }) => ({
    name,
    op,
    inputs: input,
    device,
    shapes: attr.get('_output_shapes')?.list?.shape.map(sizes) ?? [],
    attributes: new Map([...attr].filter(([key]) => key !== '_output_shapes').map(([key, value]) => [key, words(value)])),
  }))
}

function sizes(shape: NonNullable<Attribute['shape']>): number[] {
  return shape.dim.map(({ size }) => size ?? 0)
}

function words(value: Attribute): string {
  if (value.s) return new TextDecoder().decode(value.s)
  if (value.shape) return `[${sizes(value.shape).join(', ')}]`
  const single = value.i ?? value.f ?? value.b ?? value.type
  if (single !== undefined) return String(single)
  const { list } = value
  return list
    ? `[${[...list.i, ...list.f, ...list.s.map((s) => new TextDecoder().decode(s)), ...list.shape.map((s) => `[${sizes(s).join(', ')}]`)].join(', ')}]`
    : ''
}
