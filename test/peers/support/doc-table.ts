import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';

/** A table in the manual that says what ran, and so cannot say more. */
export class DocTable {
  readonly #page: string;
  readonly #name: string;
  readonly #columns: readonly string[];
  readonly #ran = new Map<string, Map<string, string>>();
  readonly #missing = new Map<string, string[]>();

  /** @param name What its two marks in the page call it. */
  constructor(page: 'clients.md' | 'nginx.md', name: string, columns: readonly string[]) {
    this.#page = resolve(import.meta.dirname, '../../../docs', page);
    this.#name = name;
    this.#columns = columns;
  }

  /** Begins the next row. */
  row(row: string): void {
    this.#ran.set(row, new Map());
  }

  /** Notes that what belongs into a cell ran, and what was seen. */
  ran(row: string, column: string, seen = '✓'): void {
    this.#ran.get(row)?.set(column, seen);
  }

  /** Notes why it cannot run. */
  cannot(row: string, column: string, reason: string): void {
    const key = `${row}: ${reason}`;
    this.#missing.set(key, [...(this.#missing.get(key) ?? []), column]);
  }

  /** The table of what ran, as the formatter leaves it, and under it why the rest did not. */
  text(): string {
    const head = [this.#name, ...this.#columns];
    const rows = [...this.#ran].map(([row, ran]) => [row, ...this.#columns.map((name) => ran.get(name) ?? '–')]);
    const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at]?.length ?? 0)));
    const line = (cells: readonly string[], fill = ' '): string =>
      `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0, fill)).join(' | ')} |\n`;
    const rule = head.map(() => '');
    const reasons = [...this.#missing].map(([reason, columns]) => `- ${reason} (${columns.join(', ')}).\n`);
    const text = `${line(head)}${line(rule, '-')}${rows.map((row) => line(row)).join('')}`;
    return reasons.length === 0 ? text : `${text}\n${reasons.join('')}`;
  }

  /** Takes what the page has, where one run does not see all: the cells that it sees are set anew. */
  async load(): Promise<void> {
    const { text, from, to } = await this.#read();
    const [, , ...rows] = text.slice(from, to).trim().split('\n');
    for (const line of rows) {
      const [row = '', ...cells] = Array.from(line.matchAll(/\| ([^|]*)/g), ([, cell = '']) => cell.trim());
      this.row(row);
      for (const [at, column] of this.#columns.entries()) this.ran(row, column, cells[at]);
    }
  }

  /** What a cell says; undefined: it is not known to have run. */
  cell(row: string, column: string): string | undefined {
    return this.#ran.get(row)?.get(column);
  }

  /** What the page says; first it is written anew where `SHIPLOG_PEERS_UPDATE` is 1. */
  async page(): Promise<string> {
    const { text, from, to } = await this.#read();
    if (process.env['SHIPLOG_PEERS_UPDATE'] !== '1') return text.slice(from, to);
    await writeFile(this.#page, text.slice(0, from) + this.text() + text.slice(to));
    return this.text();
  }

  /** The page, and where in it the table is. */
  async #read(): Promise<{ text: string; from: number; to: number }> {
    const [start, end] = [`<!-- ${this.#name}: written by the tests -->\n\n`, `\n<!-- ${this.#name}: end -->`];
    const text = await readFile(this.#page, 'utf8');
    return { text, from: text.indexOf(start) + start.length, to: text.indexOf(end) };
  }
}
