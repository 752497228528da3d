/** The object itself, which `console.log`, in Node, and conversion to a string then show as this text. */
export function printedAs<T extends object>(object: T, text: () => string): T {
  return Object.defineProperties(object, { toString: { value: text }, [Symbol.for('nodejs.util.inspect.custom')]: { value: text } })
}
