import { h } from './dom.js'; export class Data { constructor() { this.element = h('section', null); } update() {} }
