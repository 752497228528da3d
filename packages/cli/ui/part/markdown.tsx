import { Lexer, type Token, type Tokens } from 'marked'
import type { ComponentChildren } from 'preact'
import { useMemo } from 'preact/hooks'

/** Beyond this many characters, a text is cut: it would hold up the page. */
const longest = 200_000

/**
 * Markdown as elements, never as HTML: what a text holds of HTML is shown as it stands. Links lead to http, https and mailto only, and images
 * become links, so that looking at a text sends nothing anywhere.
 */
export function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => Lexer.lex(text.slice(0, longest), { gfm: true, breaks: true }), [text])
  return (
    <div class="markdown">
      {render(blocks)}
      {text.length > longest && <p class="faint">… and {(text.length - longest).toLocaleString('en')} characters more</p>}
    </div>
  )
}

const render = (tokens: readonly Token[] | undefined): ComponentChildren =>
  tokens?.map((token, i) => <One key={i} token={token as MarkedToken} />)

type MarkedToken =
  | Tokens.Heading
  | Tokens.Paragraph
  | Tokens.Text
  | Tokens.Strong
  | Tokens.Em
  | Tokens.Del
  | Tokens.Codespan
  | Tokens.Code
  | Tokens.Blockquote
  | Tokens.List
  | Tokens.Table
  | Tokens.Link
  | Tokens.Image
  | Tokens.Escape
  | Tokens.HTML
  | Tokens.Hr
  | Tokens.Br
  | Tokens.Space
  | Tokens.Def

function One({ token }: { token: MarkedToken }) {
  switch (token.type) {
    case 'heading':
      return (
        <p class={`heading-${token.depth}`} role="heading" aria-level={Math.min(6, token.depth + 3)}>
          {render(token.tokens)}
        </p>
      )
    case 'paragraph':
      return <p>{render(token.tokens)}</p>
    case 'strong':
      return <strong>{render(token.tokens)}</strong>
    case 'em':
      return <em>{render(token.tokens)}</em>
    case 'del':
      return <del>{render(token.tokens)}</del>
    case 'blockquote':
      return <blockquote>{render(token.tokens)}</blockquote>
    case 'codespan':
      return <code>{token.text}</code>
    case 'code':
      return (
        <pre>
          <code>{token.text}</code>
        </pre>
      )
    case 'list':
      return token.ordered ? <ol start={Number(token.start) || 1}>{items(token)}</ol> : <ul>{items(token)}</ul>
    case 'table':
      return <MarkdownTable table={token} />
    case 'link':
      return <Link href={token.href}>{render(token.tokens)}</Link>
    case 'image':
      return <Link href={token.href}>{token.text || token.href}</Link>
    case 'text':
      return <>{'tokens' in token && token.tokens ? render(token.tokens) : token.text}</>
    case 'escape':
      return <>{token.text}</>
    case 'html':
      return <>{token.raw}</>
    case 'hr':
      return <hr />
    case 'br':
      return <br />
    case 'space':
    case 'def':
      return null
    default: {
      const { raw } = token satisfies never as Tokens.Generic
      return <>{raw}</>
    }
  }
}

const items = ({ items }: Tokens.List): ComponentChildren =>
  items.map((item, i) => (
    <li key={i}>
      {item.task && <input type="checkbox" checked={item.checked ?? false} disabled aria-label={item.checked ? 'done' : 'to do'} />}
      {render(item.tokens)}
    </li>
  ))

function MarkdownTable({ table: { header, rows } }: { table: Tokens.Table }) {
  return (
    <div class="scroll">
      <table class="data">
        <thead>
          <tr>
            {header.map((cell, i) => (
              <th key={i} scope="col">
                {render(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, r) => (
            <tr key={r}>
              {row.map((cell, i) => (
                <td key={i}>{render(cell.tokens)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Link({ href, children }: { href: string; children: ComponentChildren }) {
  if (!/^(https?:|mailto:)/i.test(href)) return <>{children}</>
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  )
}
