import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';

const page = resolve(import.meta.dirname, '../../../docs/clients.md');

/** A table in docs/clients.md that says what ran, and so cannot say more. */
export class DocTable {
  readonly #name: string;
  readonly #columns: readonly string[];
  readonly #ran = new Map<string, Set<string>>();
  readonly #missing = new Map<string, string[]>();

  /** @param name What its two marks in the page call it. */
  constructor(name: string, columns: readonly string[]) {
    this.#name = name;
    this.#columns = columns;
  }

  /** Begins the next row. */
  row(row: string): void {
    this.#ran.set(row, new Set());
  }

  /** Notes that what belongs into a cell ran. */
  ran(row: string, column: string): void {
    this.#ran.get(row)?.add(column);
  }

  /** Notes why it cannot run. */
  cannot(row: string, column: string, reason: string): void {
    const key = `${row}: ${reason}`;
    this.#missing.set(key, [...(this.#missing.get(key) ?? []), column]);
  }

  /** The table of what ran, as the formatter leaves it, and under it why the rest did not. */
  text(): string {
    const head = [this.#name, ...this.#columns];
    const rows = [...this.#ran].map(([row, ran]) => [row, ...this.#columns.map((name) => (ran.has(name) ? '✓' : '–'))]);
    const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at]?.length ?? 0)));
    const line = (cells: readonly string[], fill = ' '): string =>
      `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0, fill)).join(' | ')} |\n`;
    const rule = head.map(() => '');
    const reasons = [...this.#missing].map(([reason, columns]) => `- ${reason} (${columns.join(', ')}).\n`);
    return `${line(head)}${line(rule, '-')}${rows.map((row) => line(row)).join('')}\n${reasons.join('')}`;
  }

  /** What the page says; first it is written anew where `SHIPLOG_PEERS_UPDATE` is 1. */
  async page(): Promise<string> {
    const [start, end] = [`<!-- ${this.#name}: written by the tests -->\n\n`, `\n<!-- ${this.#name}: end -->`];
    const text = await readFile(page, 'utf8');
    const [from, to] = [text.indexOf(start) + start.length, text.indexOf(end)];
    if (process.env['SHIPLOG_PEERS_UPDATE'] !== '1') return text.slice(from, to);
    await writeFile(page, text.slice(0, from) + this.text() + text.slice(to));
    return this.text();
  }
}
