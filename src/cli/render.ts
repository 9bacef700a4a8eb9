import { escapeControls } from '../escape.ts';

const colours: readonly [levels: RegExp, code: number][] = [
  [/^(?:emerg|alert|crit|fatal|panic|err)/i, 31],
  [/^warn/i, 33],
  [/^(?:info|notice)/i, 32],
  [/^(?:debug|trace)/i, 90],
];

/**
 * A record as a line for people: time, cluster/host, container (or service, or program), image:tag@digest, level, message. Of the
 * digest 12 hex digits stand for the whole, as Docker has it. What could steer a terminal is made visible; what is not
 * known is `-`.
 */
export function renderRecord(record: unknown, { colour }: { colour: boolean }): string {
  const level = read(record, 'log.level');
  const fields = [
    read(record, '@timestamp'),
    joined([read(record, 'orchestrator.cluster.name'), ''], [read(record, 'host.name'), '/']),
    read(record, 'container.name') ??
      read(record, 'service.name') ??
      read(record, 'container.id')?.slice(0, 12) ??
      read(record, 'log.syslog.appname'),
    joined(
      [read(record, 'shiplog.image.repository') ?? read(record, 'container.image.name'), ''],
      [read(record, 'container.image.tag'), ':'],
      [read(record, 'container.image.hash.all')?.replace(/^(\w+:\w{12})\w+$/, '$1'), '@'],
    ),
  ].map((field) => escapeControls(field ?? '-'));
  // A tab steers nothing, and stack traces are full of them.
  const message = (read(record, 'message') ?? '').split('\t').map(escapeControls).join('\t');
  const code = colours.find(([levels]) => levels.test(level ?? ''))?.[1];
  const shown = escapeControls(level ?? '-');
  fields.push(colour && code !== undefined ? `\u001b[${code}m${shown}\u001b[0m` : shown);
  return `${fields.join(' ')} ${message}`;
}

/** A record as JSON on one line; the control characters that JSON lets stand are escaped in its way. */
export function renderJson(record: unknown): string {
  return JSON.stringify(record).replace(/\p{Cc}/gu, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}

/** The texts that are there, each but the first of them behind its mark. Undefined where there is none. */
function joined(...parts: readonly [text: string | undefined, mark: string][]): string | undefined {
  const there = parts.filter(([text]) => text !== undefined);
  if (there.length === 0) return undefined;
  return there.map(([text, mark], index) => `${index === 0 ? '' : mark}${text}`).join('');
}

/** The text at a path; of a list the first. Undefined where there is none. */
function read(record: unknown, path: string): string | undefined {
  let value: unknown = record;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = new Map<string, unknown>(Object.entries(value)).get(key);
  }
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' || typeof first === 'number' ? String(first) : undefined;
}
