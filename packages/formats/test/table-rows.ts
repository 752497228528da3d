/** Row `i` of the tables in `fixtures`; see make_tables.py. */
export const tableRow = (i: number) => ({
  id: i,
  big: 2n ** 60n + BigInt(i),
  small: i * 20,
  x: i / 4,
  y: i % 3 === 0 ? null : i * 1e10,
  flag: i % 2 === 0,
  name: i === 4 ? null : `größe ${i}`,
  kind: 'abc'[i % 3],
  day: new Date(Date.UTC(2020, 0, 1 + i)),
  pair: [i, i + 0.5],
})
