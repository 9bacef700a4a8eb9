import type { estypes } from '@elastic/elasticsearch';
import { fieldTypes, longestKeyword, type FieldType } from '../query/fields.ts';
import { analysis } from '../query/words.ts';

/** Which data stream documents go to, and for how long. */
export interface StreamOptions {
  /** Lower-case letters, digits, `_` and `.`. */
  readonly dataset: string;
  readonly namespace: string;
  /** In ms; absent: for ever. */
  readonly retention?: number;
}

/** `logs-<dataset>-<namespace>`. */
export function streamName({ dataset, namespace }: StreamOptions): string {
  return `logs-${dataset}-${namespace}`;
}

/**
 * How an index keeps documents. `logsdb`: sorted by host and time, and packed more tightly; but the document is kept as
 * it came, not put together from its fields, for it is what a search answers with.
 */
export type IndexMode = 'logsdb' | 'standard';

/** It would drop values of the wrong type by itself; what is dropped is for the dead letters to say, in each mode. */
const logsdb = { mode: 'logsdb', mapping: { source: { mode: 'stored' }, ignore_malformed: false } } as const;

/** A request that puts a component template: what is the same for every stream. */
export function componentTemplate(
  mode: IndexMode,
): { readonly name: string } & estypes.ClusterPutComponentTemplateRequest {
  return {
    name: component,
    template: {
      settings: { analysis, ...(mode === 'standard' ? {} : { index: logsdb }) },
      mappings: { dynamic: false, properties: mappings() },
    },
    _meta: managed,
  };
}

/** A request that puts the index template of a stream. Its priority is above that of Elasticsearch's own (100). */
export function indexTemplate(
  stream: StreamOptions,
): { readonly name: string } & estypes.IndicesPutIndexTemplateRequest {
  const name = streamName(stream);
  const custom = `logs-${stream.dataset}@custom`;
  return {
    name: `shiplog-${name}`,
    index_patterns: [name],
    priority: 250,
    data_stream: {},
    composed_of: [component, custom],
    ignore_missing_component_templates: [custom],
    template: { lifecycle: lifecycle(stream) },
    _meta: managed,
  };
}

/** The data stream's lifecycle: it rolls over by itself, and what is older than the retention goes. */
export function lifecycle({ retention }: StreamOptions): { enabled: true; data_retention?: string } {
  return { enabled: true, ...(retention === undefined ? {} : { data_retention: duration(retention) }) };
}

const component = 'shiplog@logs';

const managed = {
  managed_by: 'shiplog',
  description: 'Put again at each start. Use logs-<dataset>@custom for changes.',
};

/** Only types that each distribution has. */
const properties: Readonly<Record<FieldType, estypes.MappingProperty>> = {
  keyword: { type: 'keyword', ignore_above: longestKeyword },
  flattened: { type: 'flattened', ignore_above: longestKeyword },
  text: { type: 'text', analyzer: 'shiplog_words', norms: false },
  integer: { type: 'integer' },
  ip: { type: 'ip' },
};

/** Fields that are sorted or kept, but not searched by the query language. */
const others: Readonly<Record<string, estypes.MappingProperty>> = {
  '@timestamp': { type: 'date' },
  'event.created': { type: 'date' },
  'event.ingested': { type: 'date' },
  'event.sequence': { type: 'long' },
};

interface Tree {
  [name: string]: estypes.MappingProperty;
}

/** Dotted names as nested objects. */
function mappings(): Tree {
  const tree: Tree = {};
  for (const [name, type] of fieldTypes) place(tree, name.split('.'), properties[type]);
  for (const [name, property] of Object.entries(others)) place(tree, name.split('.'), property);
  return tree;
}

function place(tree: Tree, [first = '', ...rest]: readonly string[], property: estypes.MappingProperty): void {
  if (rest.length === 0) {
    tree[first] = property;
    return;
  }
  const there = tree[first] ?? {};
  const inner = 'properties' in there && there.properties !== undefined ? there.properties : {};
  tree[first] = { properties: inner };
  place(inner, rest, property);
}

/** The largest of Elasticsearch's units that is exact. */
function duration(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const;
  const [unit, length] = units.find(([, length]) => ms % length === 0) ?? (['ms', 1] as const);
  return `${ms / length}${unit}`;
}
