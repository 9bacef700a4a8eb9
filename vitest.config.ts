import { defineConfig } from 'vitest/config';

const report = process.env['SHIPLOG_TEST_REPORT'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/peers/**', 'test/bench/**'],
    pool: 'forks',
    maxWorkers: '100%',
    testTimeout: 30_000,
    allowOnly: false,
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
});
