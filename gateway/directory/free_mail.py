"""Mail domains that anybody may have a mailbox at: they say nothing about whose customer somebody is."""

FREE_MAIL = frozenset(
    """
    aim.com alice.it aol.com arcor.de att.net bellsouth.net bigpond.com bk.ru bluewin.ch bol.com.br btinternet.com
    comcast.net cox.net daum.net docomo.ne.jp dreamwiz.com duck.com earthlink.net empal.com ezweb.ne.jp fastmail.com
    fastmail.fm foxmail.com free.fr freemail.hu freenet.de freechal.com gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net
    googlemail.com hanafos.com hanmail.net hanmir.com hey.com hitel.net hotmail.co.kr hotmail.co.uk hotmail.com
    hotmail.de hotmail.es hotmail.fr hotmail.it hushmail.com icloud.com inbox.lv inbox.ru interia.pl kakao.com
    korea.com laposte.net libero.it list.ru live.co.kr live.com live.co.uk live.de live.fr live.it live.nl lycos.co.kr
    mac.com mail.com mail.ru me.com msn.com nate.com naver.com netian.com nifty.com o2.pl onet.pl optonline.net
    orange.fr outlook.co.kr outlook.com outlook.de outlook.es outlook.fr outlook.it outlook.jp outlook.kr paran.com
    pm.me posteo.de proton.me protonmail.ch protonmail.com qq.com rambler.ru rediffmail.com rocketmail.com
    rogers.com runbox.com sapo.pt sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com sina.cn softbank.ne.jp sohu.com
    sympatico.ca t-online.de telenet.be terra.com.br tiscali.it tuta.com tuta.io tutamail.com tutanota.com
    tutanota.de ukr.net unitel.co.kr uol.com.br verizon.net virgilio.it virginmedia.com wanadoo.fr web.de
    windowslive.com wp.pl xtra.co.nz ya.ru yahoo.ca yahoo.co.id yahoo.co.in yahoo.co.jp yahoo.co.kr yahoo.co.uk
    yahoo.com yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.com.sg yahoo.com.tw yahoo.de yahoo.es
    yahoo.fr yahoo.in yahoo.it yandex.com yandex.ru yeah.net ymail.com zoho.com 126.com 139.com 163.com 189.cn
    """.split()
)
