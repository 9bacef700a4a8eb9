import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { httpsSettings, trustTestAuthority } from '../support/tls.ts';
import { conformance, conformanceSuite } from './support/conformance.ts';
import { startShiplog } from './support/shiplog.ts';
import { type Store, stores } from './support/stores.ts';

beforeAll(conformanceSuite, 600_000);
beforeAll(trustTestAuthority);

describe.each(stores)('on $store', ({ store, start }) => {
  let place: Store;
  beforeAll(async () => {
    place = await start();
  }, 600_000);
  afterAll(() => place[Symbol.asyncDispose]());

  const runs = (['1.1', 'dev'] as const).flatMap(
    (version) =>
      [
        { version, users: 'open', tls: false },
        { version, users: 'htpasswd', tls: false },
        { version, users: 'tokens', tls: true },
      ] as const,
  );
  test.each(runs)(
    'the whole suite passes: version $version, $users, TLS: $tls',
    async ({ version, users, tls }) => {
      await using shiplog = await startShiplog(users, { ...place.settings(), ...(tls && httpsSettings) });
      const { failures, ...counts } = await conformance(shiplog.host, version, users, tls);
      const { passed, failed, skipped, disabled } = counts;
      const line = `${passed} passed, ${failed} failed, ${skipped} skipped, ${disabled} disabled`;
      console.log(`conformance ${version} ${store} ${users}${tls ? ' TLS' : ''}: ${line}`);
      expect(failures).toEqual([]);
      expect(counts).toMatchObject({ failed: 0, skipped: 0, disabled: 0 });
      expect(passed).toBeGreaterThan(800);
    },
    600_000,
  );
});
