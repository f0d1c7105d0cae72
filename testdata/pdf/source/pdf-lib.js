const { PDFDocument, StandardFonts, rgb } = require('pdf-lib'); const fs = require('fs');
(async () => {
  for (const [out, useObjectStreams, form] of [['pdf-lib.pdf', true, false], ['pdf-lib-form.pdf', false, true]]) {
    const d = await PDFDocument.create(); d.setTitle('Declaración responsable de empadronamiento'); d.setLanguage('es-ES');
    const f = await d.embedFont(StandardFonts.Helvetica), b = await d.embedFont(StandardFonts.HelveticaBold);
    const p = d.addPage([595.28, 841.89]);
    p.drawText('AYUNTAMIENTO DE PEÑAFLOR DE LA SIERRA', { x: 120, y: 780, size: 14, font: b });
    p.drawText('Declaración responsable de empadronamiento', { x: 140, y: 755, size: 12, font: f });
    const lines = ['Doña Begoña Núñez Ibáñez, con DNI 00000000T, declara que reside en la calle del Olmo Viejo, 7,',
      'junto con las personas que figuran en el padrón municipal de habitantes, y se compromete a', 'comunicar cualquier variación en el plazo de un mes.'];
    lines.forEach((l, i) => p.drawText(l, { x: 60, y: 710 - 18 * i, size: 10.5, font: f }));
    if (form) {
      const form = d.getForm();
      const t = form.createTextField('solicitante.nombre'); t.setText('Begoña Núñez Ibáñez'); t.addToPage(p, { x: 60, y: 600, width: 300, height: 22 });
      const c = form.createCheckBox('autoriza'); c.addToPage(p, { x: 60, y: 560, width: 16, height: 16 }); c.check();
      const s = form.createDropdown('provincia'); s.addOptions(['Ávila', 'A Coruña', 'Málaga']); s.select('A Coruña'); s.addToPage(p, { x: 60, y: 520, width: 200, height: 22 });
    }
    fs.writeFileSync(out, await d.save({ useObjectStreams }));
  }
})();
