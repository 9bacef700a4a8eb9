import { expect, test } from 'vitest';
import { startTestService } from '../support/service.ts';

test('the labels of requests are bounded, whatever is asked for', async () => {
  await using service = await startTestService();
  for (let n = 0; n < 20; n += 1) {
    await service.send(`/v2/team/app${n}/manifests/latest`);
    await service.send(`/nothing/${n}`);
    await service.send(`/v2/`, { method: ['GET', 'PUT', 'BREW'][n % 2] ?? 'GET' });
  }
  const page = await service.send('/metrics');
  expect(page.headers['content-type']).toMatch(/^text\/plain; version=/);
  const routes = [
    ...page.text.matchAll(/shiplog_http_request_duration_seconds_count\{route="([^"]*)",code="(\d+)"\} (\d+)/g),
  ];
  expect(routes.map(([, route, code]) => `${code} ${route}`).toSorted()).toEqual([
    '200 /v2{/}',
    '404 /v2/*name/manifests/:reference',
    '404 none',
    '405 none',
  ]);
  expect(routes.reduce((sum, [, , , count]) => sum + Number(count), 0)).toBe(60);
  expect(page.text).toContain('process_cpu_seconds_total');
});

test('every answer of the registry names its version, also a refusal', async () => {
  await using service = await startTestService();
  for (const [path, headers] of [
    ['/v2/', {}],
    ['/v2/nothing', {}],
    ['/v2/', { forwarded: 'for=1' }],
  ] as const) {
    const answer = await service.send(path, { headers });
    expect(answer.headers['docker-distribution-api-version'], path).toBe('registry/2.0');
  }
  expect((await service.send('/health/live')).headers['docker-distribution-api-version']).toBeUndefined();
});

test('the pipeline is measured when it is asked for', async () => {
  await using service = await startTestService();
  const read = async (): Promise<string> =>
    (await service.send('/metrics')).text
      .split('\n')
      .filter((line) => /^shiplog_(?!http)/.test(line))
      .join('\n');
  await read();
  expect(await read()).toMatchInlineSnapshot(`
    "shiplog_spool_bytes_total{state="committed"} 1
    shiplog_spool_bytes_total{state="read"} 2
    shiplog_spool_bytes_total{state="unread"} 3
    shiplog_spool_bytes_total{state="dropped"} 4
    shiplog_spool_bytes_total{state="quarantined"} 5
    shiplog_log_records_total{outcome="read"} 6
    shiplog_log_records_total{outcome="indexed"} 7
    shiplog_log_records_total{outcome="failure_store"} 8
    shiplog_log_records_total{outcome="dead_lettered"} 9
    shiplog_log_records_total{outcome="dropped"} 10
    shiplog_log_records_total{outcome="in_flight"} 11
    shiplog_render_failures_total{part="parse"} 14
    shiplog_render_failures_total{part="lookup"} 15
    shiplog_syslog_tcp_total{event="connections"} 13
    shiplog_spool_size_bytes 12
    shiplog_spool_full 0
    shiplog_sink_up 1"
  `);
  service.pipeline.full = true;
  service.pipeline.trouble = { code: 'unavailable', reason: 'away', since: 0 };
  const text = await read();
  expect(text).toContain('shiplog_spool_full 1');
  expect(text).toContain('shiplog_sink_up 0');
});

test('it is ready as long as the spool takes logs, also while the sink is away', async () => {
  await using service = await startTestService();
  const ready = async (): Promise<[number, string]> => {
    const answer = await service.send('/health/ready');
    return [answer.status, answer.text];
  };
  expect(await ready()).toEqual([200, '{"status":"ok","parts":{"logs":"ok"}}']);
  service.pipeline.trouble = { code: 'unavailable', reason: 'away', since: 0 };
  expect(await ready()).toEqual([200, expect.stringContaining('the sink takes nothing: away')]);
  service.pipeline.full = true;
  expect(await ready()).toEqual([503, expect.stringContaining('the spool is full')]);
});
