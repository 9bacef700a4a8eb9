import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/peers/**', 'test/bench/**'],
    pool: 'forks',
    testTimeout: 30_000,
  },
});
