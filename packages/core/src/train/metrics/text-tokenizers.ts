const words = (text: string): string[] => text.split(/\s+/u).filter((word) => word !== '')

/** Applies replacements one after the other, then splits at white space. */
/* @__NO_SIDE_EFFECTS__ */
const byRules =
  (...rules: readonly (readonly [RegExp, string])[]) =>
  (text: string): string[] =>
    words(rules.reduce((line, [pattern, replacement]) => line.replaceAll(pattern, replacement), text))

const western = byRules(
  // ASCII punctuation, but for the apostrophe, comma, hyphen and full stop.
  [/[!-&(-+/:-@[-`{-~]/g, ' $& '],
  // Commas and full stops, unless between digits.
  [/([^0-9])([.,])/g, '$1 $2 '],
  [/([.,])([^0-9])/g, ' $1 $2'],
  // Hyphens after digits.
  [/([0-9])(-)/g, '$1 $2 '],
)

const entities = new Map([
  ['&quot;', '"'],
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
])

/** The tokenizers of machine translation's BLEU by their names in sacreBLEU. */
export const bleuTokenizers = {
  /** That of NIST's mteval-v13a, for western languages: the default. */
  '13a': (text: string): string[] => {
    const line = text.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ')
    return western(` ${[...entities].reduce((plain, [entity, character]) => plain.replaceAll(entity, character), line)} `)
  },
  /** That of mteval-v14, for any language with words: Unicode's punctuation, unless beside numbers, and symbols. */
  intl: byRules([/(\P{N})(\p{P})/gu, '$1 $2 '], [/(\p{P})(\P{N})/gu, ' $1 $2'], [/\p{S}/gu, ' $& ']),
  /** Each character. */
  char: (text: string): string[] => [...text].filter((character) => character.trim() !== ''),
  /** Texts are tokenized already: at white space. */
  none: words,
} as const

/** Lin's tokens for ROUGE: runs of the letters a to z and digits, in lower case. */
export const rougeTokens = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]+/g) ?? []
