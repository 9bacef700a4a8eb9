import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fieldTypes } from '../../ingest/query/fields.ts';
import { levels } from '../../ingest/parse/render-ecs.ts';
import { errorLevels, kibanaObjects } from '../../src/kibana/objects.ts';
import { shiplog } from '../support/command.ts';
import { type ScriptedKibana, startKibana } from '../support/scripted-kibana.ts';

async function start(space?: string): Promise<{ kibana: ScriptedKibana; env: Record<string, string> }> {
  const kibana = await startKibana(space);
  onTestFinished(() => kibana[Symbol.asyncDispose]());
  const env = {
    SHIPLOG_LOGS_SINK: 'elasticsearch',
    SHIPLOG_LOGS_ELASTICSEARCH_NODES: 'http://127.0.0.1:9',
    SHIPLOG_LOGS_ELASTICSEARCH_KIBANA_URL: kibana.url,
  };
  return { kibana, env };
}

test('Kibana gets a data view, a search and a dashboard; what it is asked is what its API has', async () => {
  const { kibana, env } = await start();
  const { code, stdout, stderr } = await shiplog(['kibana-setup'], env);
  expect([code, stderr]).toEqual([0, '']);
  const id = 'shiplog-logs-docker-default';
  expect(stdout).toBe(`${kibana.url}/app/dashboards#/view/${id}-overview\n`);
  expect(kibana.dataViews.get(id)).toEqual({
    id,
    title: 'logs-docker-default',
    name: 'shiplog: logs-docker-default',
    timeFieldName: '@timestamp',
  });
  expect(kibana.defaultDataView).toBe(id);
  expect([...kibana.objects.keys()]).toEqual([`index-pattern:${id}`, `search:${id}-lines`, `dashboard:${id}-overview`]);
  expect(kibana.objects.get(`search:${id}-lines`)?.attributes['columns']).toEqual([
    'host.name',
    'orchestrator.cluster.name',
    'container.image.name',
    'container.image.tag',
    'log.level',
    'message',
  ]);
});

test('run again it puts back what was changed, but not the default that somebody chose', async () => {
  const { kibana, env } = await start('/s/logs');
  expect((await shiplog(['kibana-setup'], env)).code).toBe(0);
  const before = structuredClone([...kibana.objects]);
  for (const { attributes } of kibana.objects.values()) attributes.title = 'changed';
  expect((await shiplog(['kibana-setup'], env)).code).toBe(0);
  expect([...kibana.objects]).toEqual(before);
  const other = await shiplog(['kibana-setup'], { ...env, SHIPLOG_LOGS_ELASTICSEARCH_DATASET: 'other' });
  expect(other.stdout).toContain('/s/logs/app/dashboards#/view/shiplog-logs-other-default-overview');
  expect(kibana.defaultDataView).toBe('shiplog-logs-docker-default');
  expect(kibana.objects.size).toBe(6);
});

test('kibana/shiplog.ndjson is what is printed, and what Kibana is given', async () => {
  const file = await readFile(join(resolve(import.meta.dirname, '../..'), 'kibana/shiplog.ndjson'), 'utf8');
  expect((await shiplog(['kibana-setup', '--print'])).stdout).toBe(file);
  const { kibana, env } = await start();
  await shiplog(['kibana-setup'], env);
  const lines = file
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect([...kibana.objects.values()]).toEqual(lines);
});

test('the fields that are shown exist, and every reference leads somewhere', () => {
  const { savedObjects } = kibanaObjects({ dataset: 'docker', namespace: 'default' });
  const text = JSON.stringify(savedObjects);
  const fields = [...text.matchAll(/sourceField\\*":\\*"([^"\\]+)/g)].map(([, field = '']) => field);
  expect(fields.length).toBeGreaterThan(5);
  for (const field of fields) expect(['@timestamp', '___records___', ...fieldTypes.keys()]).toContain(field);
  const ids = savedObjects.map(({ type, id }) => `${type}:${id}`);
  for (const { references } of savedObjects) {
    for (const { type, id } of references) expect(ids).toContain(`${type}:${id}`);
  }
  // A severity that is worse than a warning is an error.
  for (const level of levels.slice(0, levels.indexOf('warning'))) expect(errorLevels).toContain(level);
});

test.each<[what: string, env: Record<string, string>, authorization: string | undefined]>([
  ['none', {}, undefined],
  ["Elasticsearch's key", { API_KEY: 'a2V5' }, 'ApiKey a2V5'],
  ["Elasticsearch's user", { USERNAME: 'ann', PASSWORD: 'pw' }, `Basic ${btoa('ann:pw')}`],
  ['its own key', { API_KEY: 'a2V5', KIBANA_API_KEY: 'b3du' }, 'ApiKey b3du'],
  ['its own user', { API_KEY: 'a2V5', KIBANA_USERNAME: 'bob', KIBANA_PASSWORD: 'pw' }, `Basic ${btoa('bob:pw')}`],
])('the credentials are %s', async (_what, more, authorization) => {
  const { kibana, env } = await start();
  const variables = Object.entries(more).map(([name, value]) => [`SHIPLOG_LOGS_ELASTICSEARCH_${name}`, value]);
  expect((await shiplog(['kibana-setup'], { ...env, ...Object.fromEntries(variables) })).code).toBe(0);
  expect(kibana.requests.map((request) => request.authorization)).toEqual([
    authorization,
    authorization,
    authorization,
  ]);
});

test.each<[status: number, body: string, stderr: RegExp]>([
  [401, '{"message":"who?"}', /refuses \/api\/data_views\/data_view \(401\): who\?\. Check the user/],
  [403, '{"message":"no"}', /403.*Data View Management.*kibana\/shiplog\.ndjson by hand/],
  [404, 'not here', /404.*"not here".*logs\.elasticsearch\.kibana\.url/],
  [502, '<html>', /502.*<html>/],
  [200, '<html>', /not Kibana, perhaps a proxy/],
])('%i %s is told with what to do', async (status, body, message) => {
  const { kibana, env } = await start();
  kibana.refusal = { status, body };
  const { code, stdout, stderr } = await shiplog(['kibana-setup'], {
    ...env,
    SHIPLOG_LOGS_ELASTICSEARCH_API_KEY: 'c2VjcmV0',
  });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(message);
  expect(stderr).not.toContain('c2VjcmV0');
});

test('an import of which something failed is told', async () => {
  const { kibana, env } = await start();
  kibana.refusal = { status: 200, body: '{"success":false,"errors":[{"id":"x","error":{"type":"conflict"}}]}' };
  expect((await shiplog(['kibana-setup'], env)).stderr).toMatch(/did not import all objects: .*conflict/);
});

test('without Kibana, or without Elasticsearch, it says so', async () => {
  const { env } = await start();
  const { SHIPLOG_LOGS_ELASTICSEARCH_KIBANA_URL: _url, ...without } = env;
  expect(await shiplog(['kibana-setup'], without)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('logs.elasticsearch.kibana.url is not set'),
  });
  expect(await shiplog(['kibana-setup'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('logs.sink is embedded'),
  });
  const away = { ...env, SHIPLOG_LOGS_ELASTICSEARCH_KIBANA_URL: 'http://127.0.0.1:9' };
  expect((await shiplog(['kibana-setup'], away)).stderr).toMatch(/Kibana does not answer at http:\/\/127\.0\.0\.1:9: /);
});
