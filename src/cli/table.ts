/** Rows below their headings, in columns that are as wide as their widest cell; numbers stand to the right. */
export function renderTable(headings: readonly string[], rows: readonly (readonly (string | Size)[])[]): string {
  const all = [headings, ...rows.map((row) => row.map(String))];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const isRight = headings.map((_, column) => rows.some((row) => row[column] instanceof Size));
  return all
    .map((row) => {
      const cells = row.map((cell, column) => {
        const width = widths[column] ?? 0;
        return isRight[column] === true ? cell.padStart(width) : cell.padEnd(width);
      });
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A number of bytes that people read: `12.3 MiB`. */
export class Size {
  readonly #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  toString(): string {
    const power = Math.min(Math.floor(Math.log2(Math.max(this.#bytes, 1)) / 10), units.length - 1);
    return `${(this.#bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
  }
}
