import { expect, test } from 'vitest'
import { withDocs } from './document-table.ts'

const docs: Record<string, string> = { sin: 'The sine of x.', tan: 'a */ b', sum: 'The sum.' }
const docOf = (name: string) => docs[name]

test('docs stand above functions and methods, once, and mappings move with their lines', () => {
  const text = [
    'export declare const sin: F;',
    '/** Said already. */',
    'export declare const tan: F;',
    'interface Other {',
    '    sum(): number;',
    '}',
    'export interface ReduceMethods<S> {',
    '    sum(axis: number): S;',
    '    other(): S;',
    '}',
    '',
  ]
  const made = withDocs(text.join('\n'), 'A;;B;C;D;;E;F;G;', docOf)
  expect(made.text.split('\n')).toEqual(['/** The sine of x. */', ...text.slice(0, 7), '    /** The sum. */', ...text.slice(7)])
  expect(made.mappings).toBe(';A;;B;C;D;;E;;F;G;;')
})

test('a doc cannot end its comment', () => {
  expect(withDocs('export declare const tan: F;', 'A', docOf).text).toBe('/** a *\\/ b */\nexport declare const tan: F;')
})
