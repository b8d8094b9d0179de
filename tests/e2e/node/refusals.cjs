// The official Node SDK under budgets and limits: what is raised for each refusal, and how often it asked.
// Arguments: the gateway's base URL, the folder of the SDK.
'use strict';

const { createRequire } = require('node:module');
const [v1, packages] = process.argv.slice(2);
const OpenAI = createRequire(`${packages}/package.json`)('openai');

const messages = [{ role: 'user', content: 'What is the toll?' }];

async function refused(model, { maxRetries = 2, headers = {}, before = async () => {} } = {}) {
  let asked = 0;
  const counted = (...request) => { asked += 1; return fetch(...request); };
  const sdk = new OpenAI({ baseURL: v1, apiKey: 'sk-of-the-client', maxRetries, timeout: 15000, fetch: counted });
  const open = await before(sdk);
  asked = 0;
  try {
    await sdk.chat.completions.create({ model, messages, max_tokens: 300 }, { headers });
    return { name: null, asked };
  } catch (error) {
    const field = (name) => error.headers?.get(name) ?? null;
    return { name: error.constructor.name, status: error.status, code: error.code, asked,
             again: field('x-should-retry'), after: field('retry-after') };
  } finally {
    open?.abort();
  }
}

const stream = async (sdk) => {
  const opened = await sdk.chat.completions.create({ model: 'up/alone', messages, max_tokens: 5, stream: true });
  await opened[Symbol.asyncIterator]().next();
  return opened.controller;
};
const once = async (sdk) => { await sdk.chat.completions.create({ model: 'up/slow', messages, max_tokens: 5 }); };

(async () => {
  const came = {
    spent: await refused('up/spent'),
    cap: await refused('up/any', { headers: { 'x-tollkeeper-max-cost-usd': '0.000001' } }),
    unpriced: await refused('free/unknown'),
    rate: await refused('up/slow', { maxRetries: 0, before: once }),
    in_flight: await refused('up/alone', { maxRetries: 1, before: stream }),
  };
  console.log(JSON.stringify(came));
})();
