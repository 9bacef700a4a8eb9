/**
 * The fields that can be searched, by their names in the document, and how their values compare.
 *
 * - `keyword`: the whole value, as it is. `flattened`: an object whose leaves compare as keywords: `fields.user.id`.
 * - `text`: words. `integer` and `ip`: the value, without patterns.
 */
export type FieldType = 'keyword' | 'flattened' | 'text' | 'integer' | 'ip';

const types: Readonly<Record<string, FieldType>> = {
  message: 'text',
  tags: 'keyword',
  fields: 'flattened',
  'container.id': 'keyword',
  'container.image.hash.all': 'keyword',
  'container.image.name': 'keyword',
  'container.image.tag': 'keyword',
  'container.labels': 'flattened',
  'container.name': 'keyword',
  'container.runtime': 'keyword',
  'data_stream.dataset': 'keyword',
  'data_stream.namespace': 'keyword',
  'data_stream.type': 'keyword',
  'error.message': 'text',
  'error.stack_trace': 'text',
  'error.type': 'keyword',
  'event.dataset': 'keyword',
  'host.name': 'keyword',
  labels: 'flattened',
  'log.level': 'keyword',
  'log.logger': 'keyword',
  'log.syslog.appname': 'keyword',
  'log.syslog.facility.code': 'integer',
  'log.syslog.hostname': 'keyword',
  'log.syslog.msgid': 'keyword',
  'log.syslog.priority': 'integer',
  'log.syslog.procid': 'keyword',
  'log.syslog.severity.code': 'integer',
  'log.syslog.structured_data': 'flattened',
  'orchestrator.cluster.name': 'keyword',
  'service.name': 'keyword',
  'shiplog.image.repository': 'keyword',
  'shiplog.image.revision': 'keyword',
  'shiplog.stream': 'keyword',
  'shiplog.time_original': 'keyword',
  'source.ip': 'ip',
  'source.port': 'integer',
  'span.id': 'keyword',
  'trace.id': 'keyword',
};

/** Every searchable field with its type. */
export const fieldTypes: ReadonlyMap<string, FieldType> = new Map(Object.entries(types));

/** Short names for what is searched most. Several fields: a match in any of them. */
export const shortNames: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    host: ['host.name'],
    cluster: ['orchestrator.cluster.name'],
    image: ['container.image.name', 'shiplog.image.repository'],
    tag: ['container.image.tag'],
    digest: ['container.image.hash.all'],
    container: ['container.name', 'container.id'],
    level: ['log.level'],
    stream: ['shiplog.stream'],
  }),
);

/** The longest value of a keyword that can be found, in UTF-16 units: Lucene's terms end at 32,766 bytes. */
export const longestKeyword = 8191;

/** The type of a field, or of the flattened object that it lies in; `undefined` where there is no such field. */
export function fieldType(name: string): FieldType | undefined {
  const type = fieldTypes.get(name);
  if (type !== undefined) return type === 'flattened' ? undefined : type;
  for (const [prefix, type] of fieldTypes) {
    if (type === 'flattened' && name.startsWith(`${prefix}.`) && name.length > prefix.length + 1) return 'flattened';
  }
  return undefined;
}

/** What a user may write before the colon, for messages. */
export function knownFields(): string {
  const names = [...fieldTypes].map(([name, type]) => (type === 'flattened' ? `${name}.…` : name));
  return [...shortNames.keys(), ...names].join(', ');
}
