import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Action, actions, type ClientKind } from './client.ts';

const page = resolve(import.meta.dirname, '../../../docs/clients.md');
const [start, end] = ['<!-- clients: written by test/peers/clients.test.ts -->\n\n', '\n<!-- clients: end -->'];

/** The table of clients and actions in docs/clients.md: it says what ran, and so cannot say more. */
export class ClientTable {
  readonly #rows = new Map<ClientKind, { version: string; ran: Set<Action> }>();

  /** Notes that a client did something. */
  ran(kind: ClientKind, version: string, action: Action): void {
    const row = this.#rows.get(kind) ?? { version, ran: new Set() };
    row.ran.add(action);
    this.#rows.set(kind, row);
  }

  /** The table of what ran, as the formatter leaves it, and under it why the rest did not. */
  text(): string {
    const kinds = [...this.#rows.keys()];
    const rows = [...this.#rows].map(([kind, { version, ran }]) => [
      `${kind.name} ${version}`,
      ...actions.map((action) => (ran.has(action) ? '✓' : '–')),
    ]);
    const head = ['client', ...actions];
    const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at]?.length ?? 0)));
    const line = (cells: readonly string[], fill = ' '): string =>
      `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0, fill)).join(' | ')} |\n`;
    const table = [
      line(head),
      line(
        head.map(() => ''),
        '-',
      ),
      ...rows.map((row) => line(row)),
    ].join('');
    const reasons = kinds.flatMap(({ name, cannot }) => {
      const byReason = Object.groupBy(
        actions.filter((action) => cannot[action] !== undefined),
        (action) => cannot[action] ?? '',
      );
      return Object.entries(byReason).map(([reason, missing = []]) => `- ${name}, ${missing.join(', ')}: ${reason}.\n`);
    });
    return `${table}\n${reasons.join('')}`;
  }

  /** What the page says; first it is written anew where `SHIPLOG_PEERS_UPDATE` is 1. */
  async page(): Promise<string> {
    const text = await readFile(page, 'utf8');
    const [from, to] = [text.indexOf(start) + start.length, text.indexOf(end)];
    if (process.env['SHIPLOG_PEERS_UPDATE'] !== '1') return text.slice(from, to);
    await writeFile(page, text.slice(0, from) + this.text() + text.slice(to));
    return this.text();
  }
}
