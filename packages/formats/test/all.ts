/** Everything that a source gives. (`Array.fromAsync` comes with Node 22.) */
export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const value of source) list.push(value)
  return list
}
