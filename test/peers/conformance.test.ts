import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { conformance, conformanceSuite } from './support/conformance.ts';
import { startShiplog } from './support/shiplog.ts';
import { type Store, stores } from './support/stores.ts';

beforeAll(conformanceSuite, 600_000);

describe.each(stores)('on $store', ({ store, start }) => {
  let place: Store;
  beforeAll(async () => {
    place = await start();
  }, 600_000);
  afterAll(() => place[Symbol.asyncDispose]());

  const runs = (['1.1', 'dev'] as const).flatMap((version) =>
    (['open', 'htpasswd'] as const).map((users) => ({ version, users })),
  );
  test.each(runs)(
    'the whole suite passes: version $version, $users',
    async ({ version, users }) => {
      await using shiplog = await startShiplog(users, place.settings());
      const { failures, ...counts } = await conformance(shiplog.host, version, users);
      const { passed, failed, skipped, disabled } = counts;
      const line = `${passed} passed, ${failed} failed, ${skipped} skipped, ${disabled} disabled`;
      console.log(`conformance ${version} ${store} ${users}: ${line}`);
      expect(failures).toEqual([]);
      expect(counts).toMatchObject({ failed: 0, skipped: 0, disabled: 0 });
      expect(passed).toBeGreaterThan(800);
    },
    600_000,
  );
});
