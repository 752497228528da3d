/**
 * Equal for attributes of equal content, and for no others: like JSON, but it tells all numbers apart, takes bigints, and costs
 * a fraction, as the door asks for it on every op that has attributes.
 */
export function attrsKey(value: unknown): string {
  switch (typeof value) {
    case 'number':
      return Object.is(value, -0) ? '-0' : `${value}`
    case 'string':
      // With its length, so that nothing in it is taken for a delimiter.
      return `'${value.length} ${value}`
    case 'bigint':
      return `${value}n`
    case 'object': {
      if (value === null) return 'null'
      let key = ''
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) key += `${attrsKey(value[i])},`
        return `[${key}]`
      }
      for (const name in value) {
        const own = (value as Record<string, unknown>)[name]
        if (own !== undefined) key += `${name}:${attrsKey(own)},`
      }
      return `{${key}}`
    }
    default:
      return String(value)
  }
}
