/** Characters at the end of a name that are always to be seen: names of runs often differ only there. */
const tail = 12
/** Fewer before them are not worth a cut. */
const fewest = 6

/** A name that loses its middle where there is no room for all of it. */
export function LongName({ children: name }: { children: string }) {
  const cut = name.length > tail + fewest ? name.length - tail : name.length
  return (
    <span class="run-name">
      <span>{name.slice(0, cut)}</span>
      {cut < name.length && <span>{name.slice(cut)}</span>}
    </span>
  )
}
