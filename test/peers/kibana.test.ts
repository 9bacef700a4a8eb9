/**
 * Kibana itself is not to be had from the registries of packages. What it would ask of Elasticsearch for the objects that
 * `shiplog kibana-setup` makes is sent to a real one: Discover's requests for the saved search, and for each panel of the
 * dashboard the aggregations that Lens makes of its columns.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openElasticsearch } from '../../ingest/sinks/elasticsearch.ts';
import { errorLevels, kibanaObjects, searchColumns } from '../../src/kibana/objects.ts';
import { bulkOf, document, noon, type Sketch } from '../support/documents.ts';
import { quiet } from '../support/log.ts';
import { type Elasticsearch, startElasticsearch } from './support/elasticsearch.ts';

const stream = { dataset: 'kibana', namespace: 'peers' };
const { dataView, savedObjects } = kibanaObjects(stream);
const hour = 3_600_000;
const range = { gte: new Date(noon).toISOString(), lte: new Date(noon + 2 * hour).toISOString() };
const filter = [{ range: { '@timestamp': { format: 'strict_date_optional_time', ...range } } }];

let server: Elasticsearch;
beforeAll(async () => {
  server = await startElasticsearch();
  await using sink = openElasticsearch({ nodes: [server.url], ...stream, log: quiet });
  const outcomes = await sink.deliver(bulkOf(lines().map(document)), new AbortController().signal);
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['indexed']));
  await ask('POST', `/${dataView.title}/_refresh`);
});
afterAll(() => server[Symbol.asyncDispose]());

/** Of 12 images of 3 hosts: image 0 wrote 24 lines, image 11 two; each twelfth line is an error of host-1. */
function lines(): Sketch[] {
  return Array.from({ length: 12 }, (_, image) =>
    Array.from({ length: 24 - 2 * image }, (_, index) => ({
      id: `${image}-${index}`,
      time: noon + index * 60_000,
      sequence: image,
      message: `line ${index} of team/app-${image}`,
      fields: {
        host: { name: `host-${index % 3}` },
        orchestrator: { cluster: { name: 'prod' } },
        container: { name: `app-${image}`, image: { name: `team/app-${image}`, tag: ['1.4', 'latest'] } },
        log: { level: index % 12 === 1 ? 'error' : 'info' },
      },
    })),
  ).flat();
}

async function ask(method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(server.url + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const said: unknown = await answer.json();
  expect(answer.status, JSON.stringify(said)).toBe(200);
  return said;
}

test('the fields of the data view are there, and are what Kibana can search, sort and count', async () => {
  const path = `/${dataView.title}/_field_caps?fields=*&ignore_unavailable=true&allow_no_indices=false&filters=-parent&include_empty_fields=true`;
  const { fields } = z
    .object({
      fields: z.record(
        z.string(),
        z.record(z.string(), z.object({ searchable: z.boolean(), aggregatable: z.boolean() })),
      ),
    })
    .parse(await ask('POST', path));
  expect(fields[dataView.timeFieldName]).toMatchObject({ date: { searchable: true, aggregatable: true } });
  for (const column of searchColumns) {
    const type = column === 'message' ? 'text' : 'keyword';
    expect(fields[column], column).toMatchObject({ [type]: { searchable: true, aggregatable: type === 'keyword' } });
  }
});

describe('Discover', () => {
  const shown = {
    hits: z.object({
      hits: z.array(
        z.object({
          _id: z.string(),
          fields: z.record(z.string(), z.array(z.unknown())),
          highlight: z.unknown().optional(),
        }),
      ),
    }),
  };

  const documents = (query: object): object => ({
    track_total_hits: false,
    size: 500,
    sort: [
      { '@timestamp': { order: 'desc', format: 'strict_date_optional_time', unmapped_type: 'boolean' } },
      { _doc: { order: 'desc', unmapped_type: 'boolean' } },
    ],
    version: true,
    fields: [
      { field: '*', include_unmapped: true },
      { field: '@timestamp', format: 'strict_date_optional_time' },
    ],
    script_fields: {},
    stored_fields: ['*'],
    runtime_mappings: {},
    _source: false,
    query: { bool: { must: [], filter: [query, ...filter], should: [], must_not: [] } },
    highlight: {
      pre_tags: ['@kibana-highlighted-field@'],
      post_tags: ['@/kibana-highlighted-field@'],
      fields: { '*': {} },
      fragment_size: 2_147_483_647,
    },
  });

  test('the saved search shows its columns, newest first', async () => {
    // Kibana sends it to `_async_search`, which the server of the tests does not have; the body is the same.
    const path = `/${dataView.title}/_search?ignore_unavailable=true&batched_reduce_size=64`;
    const { hits } = z.object(shown).parse(await ask('POST', path, documents({ match_all: {} }))).hits;
    expect(hits).toHaveLength(lines().length);
    const [first] = hits;
    expect(first?._id).toBe('0-23');
    expect(searchColumns.map((column) => first?.fields[column])).toEqual([
      ['host-2'],
      ['prod'],
      ['team/app-0'],
      ['1.4', 'latest'],
      ['info'],
      ['line 23 of team/app-0'],
    ]);
  });

  test('words that are typed are found and marked, and a field is filtered by its value', async () => {
    const words = { multi_match: { type: 'phrase', query: 'team app-3', lenient: true } };
    const found = z.object(shown).parse(await ask('POST', `/${dataView.title}/_search`, documents(words)));
    expect(found.hits.hits).toHaveLength(18);
    expect(JSON.stringify(found.hits.hits[0]?.highlight)).toContain('@kibana-highlighted-field@');
    const host = { match_phrase: { 'host.name': 'host-1' } };
    const filtered = z.object(shown).parse(await ask('POST', `/${dataView.title}/_search`, documents(host)));
    expect(filtered.hits.hits.every(({ fields }) => fields['host.name']?.[0] === 'host-1')).toBe(true);
  });

  test('the chart above the lines counts them', async () => {
    const date_histogram = {
      field: '@timestamp',
      fixed_interval: '1m',
      time_zone: 'Europe/Berlin',
      extended_bounds: { min: noon, max: noon + 2 * hour },
    };
    const body = { size: 0, track_total_hits: true, aggs: { 2: { date_histogram } }, query: { bool: { filter } } };
    const answer = z
      .object({
        hits: z.object({ total: z.object({ value: z.number() }) }),
        aggregations: z.object({ 2: z.object({ buckets: z.array(z.object({ doc_count: z.number() })) }) }),
      })
      .parse(await ask('POST', `/${dataView.title}/_search`, body));
    expect(answer.hits.total.value).toBe(lines().length);
    const counts = answer.aggregations[2].buckets.map(({ doc_count: count }) => count);
    expect([counts.length, counts.slice(0, 4), counts.at(-1)]).toEqual([121, [12, 12, 11, 11], 0]);
  });
});

describe('the dashboard', () => {
  const column = z.object({
    operationType: z.enum(['terms', 'date_histogram', 'count']),
    sourceField: z.string(),
    params: z.object({ size: z.number().optional() }),
  });
  const panel = z.object({
    type: z.literal('lens'),
    embeddableConfig: z.object({
      attributes: z.object({
        title: z.string(),
        state: z.object({
          query: z.object({ query: z.string() }),
          datasourceStates: z.object({
            formBased: z.object({
              layers: z.object({
                lines: z.object({ columnOrder: z.array(z.string()), columns: z.record(z.string(), column) }),
              }),
            }),
          }),
        }),
      }),
    }),
  });

  interface Bucket {
    readonly key: unknown;
    readonly doc_count: number;
    readonly inner?: { readonly buckets: readonly Bucket[] } | undefined;
  }

  /** What Lens makes of a layer's columns: each that divides is an aggregation within the one before. */
  function aggregationsOf(columns: readonly z.infer<typeof column>[]): object {
    const [first, ...others] = columns;
    if (first === undefined || first.operationType === 'count') return {};
    const { size = 0 } = first.params;
    const inner =
      first.operationType === 'terms'
        ? { terms: { field: first.sourceField, order: { _count: 'desc' }, size, shard_size: 25 } }
        : { date_histogram: { field: first.sourceField, fixed_interval: '30m', time_zone: 'UTC', min_doc_count: 0 } };
    return { aggs: { inner: { ...inner, ...aggregationsOf(others) } } };
  }

  /** The filter that Kibana makes of `field: (a or b)`. */
  function filterOf(kql: string): object {
    if (kql === '') return { match_all: {} };
    const [, field = '', values = ''] = /^([\w.]+): \((.*)\)$/.exec(kql) ?? [];
    const should = values
      .split(' or ')
      .map((value) => ({ bool: { should: [{ match: { [field]: value } }], minimum_should_match: 1 } }));
    return { bool: { should, minimum_should_match: 1 } };
  }

  async function show(title: string): Promise<readonly Bucket[]> {
    const dashboard = savedObjects.find(({ type }) => type === 'dashboard');
    const { panelsJSON } = z.object({ panelsJSON: z.string() }).parse(dashboard?.attributes);
    const panels: unknown[] = JSON.parse(panelsJSON);
    const lenses = panels.flatMap((one) => panel.safeParse(one).data ?? []);
    const lens = lenses.find(({ embeddableConfig }) => embeddableConfig.attributes.title === title);
    const state = lens?.embeddableConfig.attributes.state;
    const { columnOrder = [], columns = {} } = state?.datasourceStates.formBased.layers.lines ?? {};
    const ordered = columnOrder.flatMap((id) => columns[id] ?? []);
    const body = {
      size: 0,
      track_total_hits: true,
      runtime_mappings: {},
      script_fields: {},
      stored_fields: ['*'],
      ...aggregationsOf(ordered),
      query: { bool: { must: [], filter: [filterOf(state?.query.query ?? ''), ...filter], should: [], must_not: [] } },
    };
    const answer: unknown = await ask('POST', `/${dataView.title}/_search`, body);
    const bucket: z.ZodType<Bucket> = z.lazy(() =>
      z.object({ key: z.unknown(), doc_count: z.number(), inner: z.object({ buckets: z.array(bucket) }).optional() }),
    );
    return z.object({ aggregations: z.object({ inner: z.object({ buckets: z.array(bucket) }) }) }).parse(answer)
      .aggregations.inner.buckets;
  }

  test('lines over time are those of the images that write most', async () => {
    const images = await show('Lines over time, by image');
    expect(images.map(({ key, doc_count: count }) => [key, count])).toEqual(
      Array.from({ length: 10 }, (_, image) => [`team/app-${image}`, 24 - 2 * image]),
    );
    expect(images[0]?.inner?.buckets.map(({ key, doc_count: count }) => [key, count])).toEqual([[noon, 24]]);
  });

  test('errors by host are those of the levels that are errors', async () => {
    expect(errorLevels).toContain('error');
    // Lines 1 and 13: that of each image, and of those with 14 lines or more.
    const expected = lines().filter(({ fields }) => JSON.stringify(fields?.['log']).includes('error')).length;
    expect((await show('Errors by host')).map(({ key, doc_count: count }) => [key, count])).toEqual([
      ['host-1', expected],
    ]);
  });

  test('top talkers are containers, by host', async () => {
    const hosts = await show('Top talkers');
    expect(hosts.map(({ key }) => String(key)).toSorted()).toEqual(['host-0', 'host-1', 'host-2']);
    expect(hosts.flatMap(({ inner }) => inner?.buckets[0]?.key)).toEqual(['app-0', 'app-0', 'app-0']);
  });
});
